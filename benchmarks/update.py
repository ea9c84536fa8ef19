"""Milliseconds per update of every off-policy algorithm, against the floor of its own matrix products.

The floor is the products' FLOPs, counted while an uncompiled update runs, at the rate of one batched product of two
256 × 256 matrices, measured in turn with the update in the same process. HalfCheetah's sizes, batch 256, 2 × 256,
compiled, defaults otherwise. The goals: SAC within 1.35 of its floor; every other algorithm within 1.15 of its own
floor plus SAC's overhead, which is what SAC takes beyond its floor.

    python benchmarks/update.py [--algo sac dapo-kl] [--seconds 3] [--quick] [--write]

The first call compiles every update (minutes); later ones find them in the compiler's cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import cores, parser, publish, table
from torch.utils.flop_counter import FlopCounterMode

from algorithms import learner_of, load, names, on_policy
from algorithms.core.types import Spaces
from algorithms.learner.backend import bfloat16_available, precision_for

SPACES = Spaces(17, 6)
BLOCK = 20  # updates that are timed as one: a whole number of policy iterations, or a part of one long phase
SAC_GOAL, GOAL = 1.35, 1.15


def learner(algo: str, seed: int = 0, **keywords: Any) -> Any:
    """A learner with random transitions, enough to update by."""
    algorithm: Any = load(algo)
    made = learner_of(algorithm)(algorithm, algorithm.Config(learning_starts=256), SPACES, seed, **keywords)
    numbers = np.random.default_rng(seed)
    for _ in range(2000):
        s, s2 = numbers.normal(size=(2, SPACES.observation))
        made.add(s, numbers.uniform(-1, 1, SPACES.action), numbers.normal(), s2, False, False)
    return made


def updates(made: Any) -> None:
    """One block of updates of a learner or a group of them."""
    for _ in range(BLOCK):
        made.update()


def flops(algo: str) -> float:
    """FLOPs of the matrix products of one update, the mean over a block."""
    made = learner(algo)
    updates(made)  # the first one is followed by diagnostics
    with FlopCounterMode(display=False) as counter:
        updates(made)
    return counter.get_total_flops() / BLOCK


def sac_by_hand(batch: int = 256, width: int = 256) -> float:
    """The same for SAC, on paper. The critics' last layer has one column and is a sum, not a product."""
    s, a = SPACES.observation, SPACES.action
    actor = s * width + width * width + width * 2 * a  # multiplications a sample, forwards
    first, second = 2 * (s + a) * width, 2 * width * width  # of both critics
    critic = first + second
    critics_loss = actor + critic + critic + (critic + second)  # π at s', target, forwards, backwards to the weights
    policy_loss = actor + critic + critic + (actor + actor - s * width)  # back through the critics to π's weights
    return 2.0 * batch * (critics_loss + policy_loss)


def measure(algo: str, precision: str, seconds: float) -> dict[str, float]:
    """Milliseconds of an update, and of its products at the machine's rate; blocks of both in turn."""
    count = flops(algo)
    made = learner(algo, compiled=True, precision=precision)
    updates(made)  # compiles
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b, out = (torch.randn(2, 256, 256).to(dtype) for _ in range(3))
    one = 2 * 2 * 256**3  # FLOPs
    products = round(BLOCK * count / one)
    taken: list[float] = []
    floors: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 3:
        began = time.perf_counter()
        for _ in range(products):
            torch.bmm(a, b, out=out)
        middle = time.perf_counter()
        updates(made)
        taken.append((time.perf_counter() - middle) / BLOCK)
        floors.append((middle - began) / (products * one) * count)
    return {"mflop": count / 1e6, "ms": 1e3 * statistics.median(taken), "floor": 1e3 * statistics.median(floors)}


def child(threads: int, precision: str, seconds: float, algos: list[str]) -> None:
    """Measures in this process, which is bound to as many cores as it has threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision_for(torch.device("cpu")))
    for algo in algos:
        print(json.dumps([algo, measure(algo, precision, seconds)]), flush=True)


def measured(threads: int, precision: str, seconds: float, algos: list[str]) -> dict[str, dict[str, float]]:
    """What a child measures, by algorithm."""
    command = [sys.executable, "-P", __file__, "--child", json.dumps([threads, precision, seconds, algos])]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(Path(__file__).parent)}
    found = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            algo, numbers = json.loads(line)
            found[algo] = numbers
            print(f"{precision}, {threads} threads: {algo} {numbers['ms']:.2f} ms", file=sys.stderr, flush=True)
    if process.returncode:
        raise SystemExit(process.returncode)
    return found


def report(threads: int, found: dict[str, dict[str, float]], half: dict[str, float] | None) -> str:
    """A table of the algorithms with this many threads, and what half precision makes of SAC, where it was measured."""
    sac = found["sac"]
    overhead = sac["ms"] - sac["floor"]
    rows: list[tuple[Any, ...]] = []
    for algo, numbers in found.items():
        beside = f"{numbers['ms'] / numbers['floor']:.2f}"
        allowed = None if algo == "sac" else f"{numbers['ms'] / (numbers['floor'] + overhead):.2f}"
        goal = f"{SAC_GOAL} of the floor" if algo == "sac" else f"{GOAL} of floor + overhead"
        rows.append((algo, numbers["mflop"], numbers["ms"], numbers["floor"], beside, allowed, goal))
    title = f"{threads} thread{'s' * (threads > 1)}"
    headers = (title, "MFLOP", "ms an update", "floor, ms", "of the floor", "of floor + SAC's overhead", "goal")
    remark = f"SAC's overhead: {overhead:.2f} ms."
    if half:
        remark += (
            f" With --precision bf16 SAC takes {half['ms']:.2f} ms (floor "
            f"{half['floor']:.2f} ms): {sac['ms'] / half['ms']:.2f} times as fast (goal 1.5)."
        )
    return f"{table(headers, rows)}\n\n{remark}"


def main() -> None:
    """Measures every algorithm with one and with two threads, and SAC in both precisions."""
    options_of = parser(__doc__)
    options_of.add_argument("--algo", nargs="+", help="only these, and SAC")
    options_of.add_argument("--seconds", type=float, default=6, help="of measuring each")
    options = options_of.parse_args()
    assert flops("sac") == sac_by_hand(), "the products of SAC's update are not those on paper: correct sac_by_hand"
    chosen = options.algo or [name for name in names() if not on_policy(load(name))]
    algos = ["sac", *(["dapo-kl"] if options.quick else [name for name in chosen if name != "sac"])]
    seconds = 1 if options.quick else options.seconds
    parts = []
    for threads in [1] if options.quick or cores() < 2 else [1, 2]:
        found = measured(threads, "fp32", seconds, algos)
        possible = bfloat16_available(torch.device("cpu"))
        parts.append(report(threads, found, measured(threads, "bf16", seconds, ["sac"])["sac"] if possible else None))
    publish("update", "\n\n".join(parts), options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main()
