"""How often the intervals of docs/statistics.md contain what they estimate, by simulation.

    python benchmarks/coverage.py [--samples 4000]

About two minutes on one core. Three populations of runs: normal; skewed (exponential); bimodal, 30 % of the runs fail.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dapo_cli.statistics import bootstrap
from dapo_cli.statistics.differences import difference, improvement
from dapo_cli.statistics.estimates import estimate

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return (rng.random(shape) > 0.3) + rng.normal(0.0, 0.1, shape)


POPULATIONS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0.0, 1.0, shape),
    "skewed": lambda rng, shape: rng.exponential(1.0, shape),
    "bimodal": bimodal,
}


# What an interval is called in the table.
CELLS = {
    "mean": "mean, Student t",
    "iqm": "iqm, trimmed t (n = 3: mean)",
    "median": "median, order statistics",
    "gap": "gap, Student t",
}
TESTS = {
    "mean": "difference of means, Welch t",
    "iqm": "difference of iqm, Yuen t (n = 3: mean)",
    "median": "difference of medians, bootstrap",
}
ACROSS = {
    "mean": "five environments, mean, bootstrap",
    "iqm": "five environments, iqm, bootstrap",
    "improvement": "five environments, improvement, bootstrap",
}


class Row(NamedTuple):
    """Of simulated samples."""

    population: str
    n: int
    interval: str
    coverage: float  # fraction of the intervals that contain the true value; NaN if there are none


def truth(draw: Draw, statistic: str, n: int) -> float:
    """The statistic of the population; of the iqm, with the part cut that n runs have cut."""
    population = draw(np.random.default_rng(0), (1_000_000,))
    if statistic == "iqm":
        return float(stats.trim_mean(population, n // 4 / n))
    if statistic == "gap":
        return float(np.maximum(0.0, 1.0 - population).mean())
    return float(np.median(population) if statistic == "median" else population.mean())


def inside(intervals: list[tuple[float, float]], value: float) -> float:
    bounds = np.array(intervals)
    bounds = bounds[~np.isnan(bounds).any(axis=1)]
    return float(((bounds[:, 0] <= value) & (value <= bounds[:, 1])).mean()) if len(bounds) else np.nan


def one_sample(population: str, n: int, samples: int, statistic: str) -> Row:
    """`estimate`, as in a cell of a table."""
    draw = POPULATIONS[population]
    scores = draw(np.random.default_rng([1, n]), (samples, n)).tolist()
    found = [estimate(sample, statistic) for sample in scores]
    covered = inside([(e.low, e.high) for e in found], truth(draw, statistic, n))
    return Row(population, n, CELLS[statistic], covered)


def percentile(population: str, n: int, samples: int) -> Row:
    """What a cell would have with the percentile bootstrap of the mean, which it therefore has not."""
    draw = POPULATIONS[population]
    rng = np.random.default_rng([1, n])
    scores = draw(rng, (samples, n)).tolist()
    found = [bootstrap.percentiles(bootstrap.draws([s], "mean", resamples=1000, seed=rng), 0.95) for s in scores]
    return Row(population, n, "mean, percentile bootstrap", inside(found, truth(draw, "mean", n)))


def two_samples(population: str, n: int, samples: int, statistic: str) -> Row:
    """The difference of two algorithms in one environment; the true one is 0."""
    pairs = POPULATIONS[population](np.random.default_rng([2, n]), (samples, 2, n)).tolist()
    found = [difference([ours], [theirs], statistic, resamples=1000) for ours, theirs in pairs]
    return Row(population, n, TESTS[statistic], inside([(d.low, d.high) for d in found], 0.0))


def environments(population: str, n: int, samples: int, statistic: str, count: int = 5) -> Row:
    """Over five environments: the aggregate, or (statistic "improvement") P(X > Y) of two equal algorithms."""
    draw = POPULATIONS[population]
    scores = draw(np.random.default_rng([3, n]), (samples, 2, count, n)).tolist()
    if statistic == "improvement":
        found = [improvement(ours, theirs, resamples=1000) for ours, theirs in scores]
        value = 0.5
    else:
        found = [bootstrap.aggregate(ours, statistic, resamples=1000) for ours, _ in scores]
        total = count * n
        value = truth(draw, statistic, total if statistic == "iqm" else n)
    return Row(population, n, ACROSS[statistic], inside([(e.low, e.high) for e in found], value))


def rows(samples: int) -> Iterator[Row]:
    for population in POPULATIONS:
        for n in (3, 5, 10, 20):
            yield from (one_sample(population, n, samples, statistic) for statistic in CELLS)
            yield percentile(population, n, samples)
            yield from (two_samples(population, n, samples // 2, statistic) for statistic in TESTS)
            yield from (environments(population, n, samples // 2, statistic) for statistic in ACROSS)


def main() -> None:
    parser = argparse.ArgumentParser(description="How often the intervals contain what they estimate.")
    parser.add_argument("--samples", type=int, default=4000, help="simulated samples of one environment; else half")
    table: dict[tuple[str, str], list[str]] = {}
    for row in rows(parser.parse_args().samples):
        percent = "–" if np.isnan(row.coverage) else f"{100 * row.coverage:.0f}"
        table.setdefault((row.population, row.interval), []).append(percent)
    print("| population | interval | n = 3 | 5 | 10 | 20 |\n| :--- | :--- | ---: | ---: | ---: | ---: |")
    for key, percents in table.items():
        print(f"| {' | '.join((*key, *percents))} |")


if __name__ == "__main__":
    main()
