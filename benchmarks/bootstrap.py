"""How long the statistics of a paper's comparison take.

    python benchmarks/bootstrap.py

5 algorithms x 5 environments x 10 seeds: mean and interquartile mean of every algorithm, and the probability of
improvement of all ten pairs, each with an interval from 10 000 resamples, on one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import itertools
import time

import numpy as np

from dapo_cli.statistics import bootstrap
from dapo_cli.statistics.differences import improvement

ALGORITHMS, ENVIRONMENTS, SEEDS, REPEATS = 5, 5, 10, 5


def main() -> None:
    scores = np.random.default_rng(0).normal(size=(ALGORITHMS, ENVIRONMENTS, SEEDS)).tolist()
    pairs = list(itertools.combinations(scores, 2))
    work = {
        "mean, every algorithm": lambda: [bootstrap.aggregate(strata, "mean") for strata in scores],
        "iqm, every algorithm": lambda: [bootstrap.aggregate(strata, "iqm") for strata in scores],
        "improvement, every pair": lambda: [improvement(ours, theirs) for ours, theirs in pairs],
    }
    total = 0.0
    for name, run in work.items():
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(f"{name:24} {min(times):.3f} s (median {sorted(times)[REPEATS // 2]:.3f} s)")
        total += sorted(times)[REPEATS // 2]
    print(f"{'together':24} {total:.3f} s for {bootstrap.RESAMPLES} resamples")


if __name__ == "__main__":
    main()
