"""What several environments say together: statistics over all, with stratified bootstrap intervals.

As Agarwal et al. 2021 (arXiv:2108.13264): runs are drawn with replacement within each environment. A resample is a
weight per run, the number of times that it was drawn / (E n_e), E environments, n_e runs in this one: environments have
equal weight, whatever their seeds. With equal seeds the statistics are those of rliable 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dapo_cli.statistics.estimates import (
    CONFIDENCE,
    RESAMPLES,
    SMALLEST_SAMPLE,
    Estimate,
    applicable,
    estimate,
    ordered,
)

SEED = 0
CHUNK = 2**20  # weights in memory at a time
ROUNDING = 1e-12  # what is closer than this, relative to the largest score, is equal

Floats = NDArray[np.float64]


def aggregate(
    strata: Sequence[Sequence[float]],
    statistic: str,
    *,
    confidence: float = CONFIDENCE,
    target: float = 1.0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """`statistic` over environments (`strata`: the scores of the runs in each) with a percentile bootstrap interval.

    mean: of the environments' means. median: of the environments' means. iqm: the mean of all scores without the lowest
    and the highest quarter of the mass. gap: the mean of max(0, target - score). One environment is a cell of a table:
    `statistics.estimate`. No interval where an environment has fewer than 3 runs; NaN where one has none, or a score is
    NaN. Every call has a generator of its own, so that no result depends on another.
    """
    if len(strata) == 1:
        return estimate(strata[0], statistic, confidence=confidence, target=target)
    value, used = point(strata, statistic, target=target)
    n = sum(map(len, strata))
    if math.isnan(value) or min(map(len, strata)) < SMALLEST_SAMPLE:
        return Estimate(n, value, math.nan, math.nan, math.nan, used, "")
    sample = draws(strata, used, target=target, resamples=resamples, seed=seed)
    low, high = percentiles(sample, confidence, around=value, tolerance=rounding(*strata))
    return Estimate(n, value, low, high, math.nan, used, "" if math.isnan(low) else "bootstrap")


def point(strata: Sequence[Sequence[float]], statistic: str, *, target: float = 1.0) -> tuple[float, str]:
    """The statistic over environments, and which it is (`statistics.applicable`, of the number of all runs)."""
    used = applicable(statistic, sum(map(len, strata)))
    if not strata or not all(strata) or any(math.isnan(score) for scores in strata for score in scores):
        return math.nan, used
    scores, sizes = _pooled(strata)
    weights = np.repeat(1 / (len(sizes) * np.array(sizes)), sizes)
    return float(_statistic(weights[None], scores, sizes, used, target)[0]), used


def draws(
    strata: Sequence[Sequence[float]],
    statistic: str,
    *,
    target: float = 1.0,
    resamples: int = RESAMPLES,
    seed: int | np.random.Generator = SEED,
) -> Floats:
    """The statistic of every resample: (resamples,). `strata` have no NaN and at least one run each."""
    rng = np.random.default_rng(seed)
    used = applicable(statistic, sum(map(len, strata)))
    scores, sizes = _pooled(strata)
    chunks = resampled(sizes, resamples, rng)
    return np.concatenate([_statistic(weights, scores, sizes, used, target) for weights in chunks])


def resampled(sizes: Sequence[int], resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """The weights of all runs in every resample, in chunks (rows, runs) of bounded size; a row's sum is 1."""
    chunk = max(1, CHUNK // sum(sizes))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        yield np.concatenate([counts(n, rows, rng) / (len(sizes) * n) for n in sizes], axis=1)


def counts(n: int, rows: int, rng: np.random.Generator) -> Floats:
    """How often each of n runs occurs among n drawn with replacement: (rows, n)."""
    drawn = rng.integers(n, size=(rows, n))
    drawn += n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def percentiles(
    sample: Floats, confidence: float, *, around: float = math.nan, tolerance: float = 0.0
) -> tuple[float, float]:
    """The percentile interval of (resamples,), outwards to the next value drawn; NaN if one is NaN.

    A bound within `tolerance` of `around`, the value that it bounds, is that value.
    """
    if np.isnan(sample).any():
        return math.nan, math.nan
    lower, upper = ranks(len(sample), confidence)
    part = np.partition(sample, (lower, upper))  # not np.quantile, which makes NaN of two infinities
    low, high = float(part[lower]), float(part[upper])
    return (around if abs(low - around) <= tolerance else low, around if abs(high - around) <= tolerance else high)


def ranks(resamples: int, confidence: float) -> tuple[int, int]:
    """Which of the sorted resamples bound the percentile interval, from 0."""
    rank = math.floor((1 - confidence) / 2 * (resamples - 1) + 1e-9)  # 1e-9: 1 - 0.95 is not 0.05
    return rank, resamples - 1 - rank


def rounding(*samples: Sequence[float]) -> float:
    """The difference that is none, for statistics of these samples: sums in another order differ by less."""
    return ROUNDING * max((abs(score) for scores in samples for score in scores if math.isfinite(score)), default=0.0)


def weighted(weights: Floats, scores: Floats) -> Floats:
    """Σ weight · score: (rows, runs), (runs,) -> (rows,). An infinite score counts where its weight is not 0."""
    finite = np.isfinite(scores)
    if finite.all():
        return np.asarray(weights @ scores)
    total = weights[:, finite] @ scores[finite]
    high, low = ((weights[:, scores == infinity] > 0).any(axis=1) for infinity in (np.inf, -np.inf))
    return np.where(high & low, np.nan, np.where(high, np.inf, np.where(low, -np.inf, total)))


def _pooled(strata: Sequence[Sequence[float]]) -> tuple[Floats, list[int]]:
    """All scores, environment after environment, and their numbers; sorted, so that no order given matters."""
    columns = sorted(map(ordered, strata))
    return np.concatenate([np.array(column) for column in columns]), [len(column) for column in columns]


def _statistic(weights: Floats, scores: Floats, sizes: Sequence[int], statistic: str, target: float) -> Floats:
    """Of weighted runs: weights (rows, runs), scores (runs,) -> (rows,)."""
    if statistic == "gap":
        return weighted(weights, np.maximum(0.0, target - scores))
    if statistic == "iqm":
        return _interquartile_mean(weights, scores)
    if statistic == "mean":
        return weighted(weights, scores)
    ends = np.cumsum(sizes)
    columns = [
        weighted(len(sizes) * weights[:, b - n : b], scores[b - n : b]) for n, b in zip(sizes, ends, strict=True)
    ]
    means = np.sort(np.stack(columns), axis=0)  # (environments, rows)
    below, above = means[(len(means) - 1) // 2], means[len(means) // 2]
    with np.errstate(invalid="ignore"):  # -inf and inf
        return np.asarray((below + above) / 2)


def _interquartile_mean(weights: Floats, scores: Floats) -> Floats:
    """The mean of the mass between int(N/4)/N and 1 - int(N/4)/N; a run on the edge counts with its part inside.

    With weights 1/N it is `scipy.stats.trim_mean(scores, 0.25)`.
    """
    cut = len(scores) // 4 / len(scores)
    order = np.argsort(scores, kind="stable")
    inside = np.clip(np.cumsum(weights[:, order], axis=1), cut, 1 - cut)
    kept = np.diff(inside, axis=1, prepend=cut) / (1 - 2 * cut)
    kept[kept < ROUNDING] = (
        0.0  # a run wholly outside has no weight, also where the sum was rounded: it may be infinite
    )
    return weighted(kept, scores[order])
