"""Whether two algorithms differ: differences with intervals and p values, and the claims that these allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dapo_cli.statistics import bootstrap
from dapo_cli.statistics.bootstrap import CHUNK, SEED, Floats
from dapo_cli.statistics.estimates import (
    CONFIDENCE,
    RESAMPLES,
    SMALLEST_SAMPLE,
    Centre,
    Estimate,
    applicable,
    centre_of,
    median,
    ordered,
    t_interval,
)

MIN_DECIDED = 5  # below that many runs on a side no claim is decided, nothing is bold


class Difference(NamedTuple):
    """Of `scores` minus `base`, in the units of the scores. Interval and p are NaN below 3 runs on a side."""

    value: float  # NaN if a score is NaN
    low: float
    high: float
    p: float  # two-sided
    method: str  # "Welch t", "Yuen t", "permutation", "bootstrap", or "" (neither interval nor p)


NOTHING = Difference(math.nan, math.nan, math.nan, math.nan, "")


def difference(
    scores: Sequence[Sequence[float]],
    base: Sequence[Sequence[float]],
    statistic: str = "mean",
    *,
    confidence: float = CONFIDENCE,
    target: float = 1.0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """`statistic` of `scores` minus that of `base`; both are the runs' scores by environment, in the same order.

    One environment: mean and gap by Welch's t; iqm by Yuen's t on trimmed means (1974), from 4 runs on both sides on,
    else mean; median with a percentile bootstrap interval from n = 5 on, and p of a permutation test of ranks, which
    asks whether the runs are exchangeable, so that the two need not agree. Several environments: bootstrap, runs being
    drawn on each side of its own; p is twice the smaller tail beyond 0, at least 2 / (resamples + 1). Raises ValueError
    unless both have the same number of environments.
    """
    _check(scores, base)
    sizes = [len(column) for column in (*scores, *base)]
    if not sizes or not all(sizes) or _has_nan(scores, base):
        return NOTHING
    used = applicable(statistic, min(sum(map(len, scores)), sum(map(len, base))))
    if len(scores) > 1:
        return _bootstrapped(scores, base, used, confidence, target, resamples, seed)
    ours, theirs = ordered(scores[0]), ordered(base[0])
    if used == "median":
        return _medians(ours, theirs, confidence, resamples, seed)
    result = _welch(centre_of(ours, used, target), centre_of(theirs, used, target), confidence)
    if min(sizes) < SMALLEST_SAMPLE or math.isnan(result.p):
        return NOTHING._replace(value=result.value)
    return result._replace(method="Yuen t" if used == "iqm" else "Welch t")


def _welch(ours: Centre, theirs: Centre, confidence: float) -> Difference:
    """Welch's t (1947); of trimmed means with winsorised variances it is Yuen's."""
    from scipy.special import stdtr

    value = ours.value - theirs.value
    variance = ours.variance + theirs.variance
    if not math.isfinite(variance):
        return NOTHING._replace(value=value)
    if variance == 0.0:  # two constants: equal, or certainly not
        return Difference(value, value, value, 1.0 if value == 0.0 else 0.0, "")
    share = ours.variance / variance
    df = 1 / (share * share / ours.df + (1 - share) ** 2 / theirs.df)
    low, high = t_interval(Centre(value, variance, df), confidence)
    return Difference(value, low, high, 2 * float(stdtr(df, -abs(value) / math.sqrt(variance))), "")


def _medians(ours: list[float], theirs: list[float], confidence: float, resamples: int, seed: int) -> Difference:
    value = median(ours) - median(theirs)
    smallest = min(len(ours), len(theirs))
    if smallest < SMALLEST_SAMPLE or math.isnan(value):
        return NOTHING._replace(value=value)
    rng = np.random.default_rng(seed)
    p = _permutation(ours, theirs, resamples, rng)
    if smallest < MIN_DECIDED:
        return Difference(value, math.nan, math.nan, p, "permutation")
    sides = []
    for side in (ours, theirs):
        values = np.array(side)
        chunk = max(1, CHUNK // len(side))
        rows = [min(chunk, resamples - start) for start in range(0, resamples, chunk)]
        sides.append(np.concatenate([_row_medians(values[rng.integers(len(side), size=(n, len(side)))]) for n in rows]))
    low, high = bootstrap.percentiles(
        _minus(*sides), confidence, around=value, tolerance=bootstrap.rounding(ours, theirs)
    )
    return Difference(value, low, high, p, "permutation")


def _permutation(ours: list[float], theirs: list[float], resamples: int, rng: np.random.Generator) -> float:
    """p of a permutation test of the rank sum (Wilcoxon; ties have their mean rank), counting the one observed.

    Not of the difference of medians: for two tight clusters, far apart, most permutations have the same one.
    """
    pooled = np.array(ours + theirs)
    order = np.sort(pooled)
    ranks = (np.searchsorted(order, pooled, "left") + np.searchsorted(order, pooled, "right")) / 2
    ranks -= ranks.mean()
    observed = abs(ranks[: len(ours)].sum())
    extreme, chunk = 0, max(1, CHUNK // len(pooled))
    for start in range(0, resamples, chunk):
        shuffled = rng.permuted(np.tile(ranks, (min(chunk, resamples - start), 1)), axis=1)
        extreme += int((np.abs(shuffled[:, : len(ours)].sum(axis=1)) >= observed - 1e-6).sum())
    return (extreme + 1) / (resamples + 1)


def _bootstrapped(
    scores: Sequence[Sequence[float]],
    base: Sequence[Sequence[float]],
    statistic: str,
    confidence: float,
    target: float,
    resamples: int,
    seed: int,
) -> Difference:
    value = bootstrap.point(scores, statistic, target=target)[0] - bootstrap.point(base, statistic, target=target)[0]
    tolerance = bootstrap.rounding(*scores, *base)
    value = 0.0 if abs(value) <= tolerance else value
    if math.isnan(value) or min(map(len, (*scores, *base))) < SMALLEST_SAMPLE:
        return NOTHING._replace(value=value)
    rng = np.random.default_rng(seed)  # one after the other: the sides are independent
    ours = bootstrap.draws(scores, statistic, target=target, resamples=resamples, seed=rng)
    theirs = bootstrap.draws(base, statistic, target=target, resamples=resamples, seed=rng)
    sample = _minus(ours, theirs)
    if np.isnan(sample).any():
        return NOTHING._replace(value=value)
    tail = min(int((sample <= tolerance).sum()), int((sample >= -tolerance).sum()))
    low, high = bootstrap.percentiles(sample, confidence, around=value, tolerance=tolerance)
    return Difference(value, low, high, min(1.0, 2 * (tail + 1) / (resamples + 1)), "bootstrap")


def improvement(
    scores: Sequence[Sequence[float]],
    base: Sequence[Sequence[float]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """P(a run of `scores` > a run of `base`), ties 1/2, mean over environments (Agarwal et al. 2021, section 4.3).

    The interval is the percentile bootstrap's, runs being drawn in each environment and on each side. Where in every
    environment all runs of one side beat all of the other, resampling changes nothing, and the bounds are exact instead
    (`_separated`). Raises ValueError unless both have the same number of environments.
    """
    _check(scores, base)
    n = sum(map(len, scores)) + sum(map(len, base))
    sizes = [len(column) for column in (*scores, *base)]
    nothing = Estimate(n, math.nan, math.nan, math.nan, math.nan, "improvement", "")
    if not sizes or not all(sizes) or _has_nan(scores, base):
        return nothing
    pairs = sorted((ordered(ours), ordered(theirs)) for ours, theirs in zip(scores, base, strict=True))
    wins = []  # by environment: (runs, runs of base)
    for ours, theirs in pairs:
        x, y = np.array(ours)[:, None], np.array(theirs)
        wins.append((x > y) + 0.5 * (x == y))
    value = math.fsum(float(won.mean()) for won in wins) / len(wins)
    if min(sizes) < SMALLEST_SAMPLE:
        return nothing._replace(value=value)
    if all(won.min() == won.max() != 0.5 for won in wins):
        low, high = _separated(round(value * len(wins)), len(wins), min(sizes), confidence)
        return nothing._replace(value=value, low=low, high=high, method="exact bound")
    rng = np.random.default_rng(seed)
    sample = np.zeros(resamples)
    for won in wins:
        chunk = max(1, CHUNK // max(won.shape))
        for start in range(0, resamples, chunk):
            part = sample[start : start + chunk]
            drawn, drawn_base = (bootstrap.counts(runs, len(part), rng) for runs in won.shape)
            part += ((drawn @ won) * drawn_base).sum(axis=1) / (won.size * len(wins))
    low, high = bootstrap.percentiles(sample.round(12), confidence)
    return nothing._replace(value=value, low=low, high=high, method="bootstrap")


def _separated(won: int, environments: int, runs: int, confidence: float) -> tuple[float, float]:
    """Bounds of the mean probability of improvement where `won` environments are all won, and the others all lost.

    If p is the mean probability of a win in m environments, then that of winning k independent pairs in each is at most
    p^(km); p is at least what makes this (1 - confidence) / 2 (Clopper and Pearson 1934). The other environments may
    have any probability. The upper bound is the other side's lower one.
    """

    def least(m: int) -> float:
        return m / environments * ((1 - confidence) / 2) ** (1 / (runs * m)) if m else 0.0

    return least(won), 1 - least(environments - won)


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the same order; a NaN stays NaN and does not count."""
    ranked = sorted((p, index) for index, p in enumerate(ps) if not math.isnan(p))
    adjusted = [math.nan] * len(ps)
    largest = 0.0
    for rank, (p, index) in enumerate(ranked):
        largest = max(largest, min(1.0, p * (len(ranked) - rank)))
        adjusted[index] = largest
    return adjusted


def equivalent(difference_at_90: Difference, margin: float) -> str:
    """The claim that the 90 % interval of a difference allows, in the units of the scores.

    "equivalent": it lies inside ±margin (two one-sided tests at 5 %, Schuirmann 1987); "different": it lies outside;
    "undecided" otherwise, and without an interval. Below MIN_DECIDED runs on a side the caller claims nothing.
    """
    if margin < 0:
        raise ValueError("a margin is not negative")
    low, high = difference_at_90.low, difference_at_90.high
    if -margin < low and high < margin:
        return "equivalent"
    return "different" if low > margin or high < -margin else "undecided"


def _check(scores: Sequence[Sequence[float]], base: Sequence[Sequence[float]]) -> None:
    if len(scores) != len(base):
        raise ValueError(f"{len(scores)} environments cannot be compared with {len(base)}")


def _has_nan(*sides: Sequence[Sequence[float]]) -> bool:
    return any(math.isnan(score) for side in sides for column in side for score in column)


def _minus(ours: Floats, theirs: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # inf - inf
        return ours - theirs


def _row_medians(values: Floats) -> Floats:
    values = np.sort(values, axis=1)
    n = values.shape[1]
    below, above = values[:, (n - 1) // 2], values[:, n // 2]
    with np.errstate(invalid="ignore"):  # -inf and inf
        return np.asarray((below + above) / 2)
