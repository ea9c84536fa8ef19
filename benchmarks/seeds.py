"""What an update costs per seed when several seeds are updated together (`dapo train --seeds 0-4 --vectorise`).

On a CPU in turn, as dapo does there, and as one batch; on a GPU as one batch.

All widths take turns in one process, block by block. HalfCheetah's sizes, batch 256, 2 × 256, compiled. On the CPU also
beside processes of their own: the line "1" with one thread is what each of them costs on a core of its own.

    python benchmarks/seeds.py [--algo sac] [--seeds 1 2 5 10] [--device cuda] [--seconds 20] [--quick] [--write]

The first call compiles every width (minutes); later ones find them in the compiler's cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from _report import cores, parser, publish, table
from update import BLOCK, learner, updates

from algorithms.learner.backend import precision_for
from algorithms.learner.seed_group import SeedGroup


def child(threads: int, algo: str, seeds: Sequence[int], device: str, seconds: float, ways: Mapping[str, bool]) -> None:
    """Prints the median milliseconds of an update of each width in each of the ways, measured in this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision_for(torch.device(device)))
    groups = {}
    for way, batched in ways.items():
        for width in seeds:
            made = [learner(algo, seed, device=device, compiled=True) for seed in range(width)]
            groups[way, width] = SeedGroup(made, width, batched)
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in groups}
    for group in groups.values():
        updates(group)  # compiles
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(reversed(taken.values()))) < 3:
        for key, group in groups.items():
            began = time.perf_counter()
            updates(group)
            if device == "cuda":
                torch.cuda.synchronize()
            taken[key].append(1e3 * (time.perf_counter() - began) / BLOCK)
    print(json.dumps([statistics.median(times) for times in taken.values()]))


def main() -> None:
    """A row for each width, with one and with two threads."""
    options_of = parser(__doc__)
    options_of.add_argument("--algo", default="sac")
    options_of.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 5, 10])
    options_of.add_argument("--device", default="cpu")
    options_of.add_argument("--seconds", type=float, default=20)
    options = options_of.parse_args()
    seeds, seconds = ([1, 2], 2.0) if options.quick else (options.seeds, options.seconds)
    widths = [1, 2] if options.device == "cpu" and cores() > 1 and not options.quick else [1]
    ways = {"in turn": False, "as one batch": True} if options.device == "cpu" else {"as one batch": True}
    columns: list[list[float]] = []
    headers = [f"{options.algo}, seeds"]
    for threads in widths:
        arguments = json.dumps([threads, options.algo, seeds, options.device, seconds, ways])
        command = [sys.executable, "-P", __file__, "--child", arguments]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        times = json.loads(done.stdout)
        on = options.device if options.device != "cpu" else f"{threads} thread{'s' * (threads > 1)}"
        for place, way in enumerate(ways):
            of_way = times[place * len(seeds) : (place + 1) * len(seeds)]
            each = [ms / n for ms, n in zip(of_way, seeds, strict=True)]
            columns += [each, [ms / (times[0] / seeds[0]) for ms in each]]
            headers += [f"{on}, {way}: ms a seed", f"of {seeds[0]}'s"]
    publish("seeds", table(headers, list(zip(map(str, seeds), *columns, strict=True))), options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main()
