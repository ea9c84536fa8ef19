"""How long exact policy mirror descent takes on many finite MDPs, on one thread.

    python benchmarks/tabular.py            # 1000 MDPs of 50 states and 10 actions, 200 iterations
    python benchmarks/tabular.py 100        # fewer MDPs; the time for 1000 is printed, too

Each iteration evaluates every policy by a linear solve. MDPs go through in chunks that fit into the processor's cache.
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import torch

from algorithms.core.mirror_maps import mirror_map
from algorithms.tabular.mdp import garnet
from algorithms.tabular.mirror_descent import constant, mirror_descent
from algorithms.tabular.values import optimum

STATES, ACTIONS, SUCCESSORS, GAMMA, ITERATIONS, CHUNK = 50, 10, 5, 0.9, 200, 16


def main() -> None:
    torch.set_num_threads(1)
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    mdp = garnet(instances, STATES, ACTIONS, SUCCESSORS, GAMMA, torch.Generator().manual_seed(0))
    print(f"{instances} MDPs, {STATES} states, {ACTIONS} actions, {ITERATIONS} iterations; CPU seconds, then elapsed")
    for name, q in {"kl": 1.0, "l2": 2.0, "tsallis-1.5": 1.5, "tsallis-0.5": 0.5}.items():
        mirror, cpu, start, gap = mirror_map(q), time.process_time(), time.perf_counter(), 0.0
        for part in mdp.chunks(CHUNK):
            best = optimum(part)
            for iterate in islice(mirror_descent(part, mirror, constant(1.0)), ITERATIONS + 1):
                last = iterate
            gap = max(gap, float((best.V - last.V).max()))
        cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
        scale = 1000 / instances
        print(
            f"{name:12} {cpu:6.1f} {elapsed:6.1f}   per 1000: {cpu * scale:5.1f}   largest gap {gap:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
