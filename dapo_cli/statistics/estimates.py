"""What one sample of runs says (a cell of a table): its centre, and how well that centre is known.

A sample is the scores of runs of one algorithm in one environment. The unit is the run, never the episode. Everything
is computed from the sorted scores, so that their order changes no bit of the result. docs/statistics.md says why each
interval is the one it is, and how often it covers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

STATISTICS = ("mean", "median", "iqm", "gap")
CONFIDENCE = 0.95
RESAMPLES = 10_000  # of a bootstrap, over several environments
SMALLEST_SAMPLE = 3  # below that, an interval says more about the formula than about the runs
SMALLEST_IQM = 4  # below that, nothing is cut, and the interquartile mean is the mean


class Estimate(NamedTuple):
    """A statistic of n runs with its interval, in the units of the scores."""

    n: int  # runs in all
    value: float  # NaN if a score is NaN, or there is none; infinite scores are scores
    low: float  # NaN where there is no interval
    high: float
    std: float  # sample standard deviation of the runs of one environment; NaN over several
    statistic: str  # the one used: "mean" where "iqm" was asked of fewer than 4 runs
    method: str  # of the interval: "t", "order statistics", "bootstrap", "exact bound", or "" (no interval)


class Centre(NamedTuple):
    """A mean, trimmed mean or mean gap, as a t statistic needs it."""

    value: float
    variance: float  # the squared standard error of `value`; NaN where n < 2, or the value is not finite
    df: float  # degrees of freedom


def estimate(
    scores: Sequence[float], statistic: str = "mean", *, confidence: float = CONFIDENCE, target: float = 1.0
) -> Estimate:
    """`statistic` of the runs of one environment, with an interval from n = 3 on.

    mean: Student t. iqm, the mean without the int(n/4) lowest and highest: t with the winsorised variance and h - 1
    degrees of freedom, h scores being kept (Tukey and McLaughlin 1963). median: order statistics, exact for every
    continuous distribution, and none where the confidence cannot be reached (95 %: n < 6). gap, the mean of
    max(0, target - score) (Agarwal et al. 2021): Student t, and not below 0. Raises ValueError for another statistic.
    """
    n = len(scores)
    used = applicable(statistic, n)
    if n == 0 or any(map(math.isnan, scores)):
        return Estimate(n, math.nan, math.nan, math.nan, math.nan, used, "")
    values = ordered(scores)
    std = math.sqrt(n * _centre(values, 0).variance)
    if used == "median":
        low, high = _median_interval(values, confidence)
        return Estimate(n, median(values), low, high, std, used, "" if math.isnan(low) else "order statistics")
    centre = centre_of(values, used, target)
    if n < SMALLEST_SAMPLE or math.isnan(centre.variance):
        return Estimate(n, centre.value, math.nan, math.nan, std, used, "")
    low, high = t_interval(centre, confidence)
    return Estimate(n, centre.value, max(low, 0.0) if used == "gap" else low, high, std, used, "t")


def applicable(statistic: str, n: int) -> str:
    """The statistic that n runs allow: the mean instead of the interquartile mean where nothing would be cut."""
    if statistic not in STATISTICS:
        raise ValueError(f"there is no statistic {statistic!r}; choose from {', '.join(STATISTICS)}")
    return "mean" if statistic == "iqm" and n < SMALLEST_IQM else statistic


def ordered(scores: Iterable[float]) -> list[float]:
    """The scores in the one order in which they are summed; a negative zero becomes a positive one."""
    return sorted(float(score) + 0.0 for score in scores)


def median(values: Sequence[float]) -> float:
    """Of sorted values; NaN between -inf and inf."""
    n = len(values)
    below, above = values[(n - 1) // 2], values[n // 2]
    return below if below == above else (below + above) / 2


def centre_of(values: Sequence[float], statistic: str, target: float = 1.0) -> Centre:
    """The mean, iqm or gap of sorted values (at least one)."""
    if statistic == "gap":
        return _centre(ordered(max(0.0, target - value) for value in values), 0)
    return _centre(values, len(values) // 4 if statistic == "iqm" else 0)


def _centre(values: Sequence[float], cut: int) -> Centre:
    """The mean of sorted values without the `cut` lowest and highest; cut = 0 is the mean, and Student's variance.

    The variance is SS / (h (h - 1)), SS being the squared deviations of the values with the ones cut set to the nearest
    one kept (winsorised), h the number kept: Tukey and McLaughlin 1963; also each side's share in Yuen's test (1974).
    """
    kept = values[cut : len(values) - cut]
    value = _mean(kept)
    if len(kept) < 2 or not math.isfinite(value):
        return Centre(value, math.nan, math.nan)
    winsorised = [kept[0]] * cut + list(kept) + [kept[-1]] * cut
    middle = _mean(winsorised)
    squares = _sum((x - middle) * (x - middle) for x in winsorised)
    return Centre(value, squares / (len(kept) * (len(kept) - 1)), len(kept) - 1)


def _mean(values: Sequence[float]) -> float:
    """Of sorted values. Rounding does not take it out of their range: the mean of equal values is that value."""
    total = _sum(values)
    return total if math.isnan(total) else min(max(total / len(values), values[0]), values[-1])


def _sum(values: Iterable[float]) -> float:
    """Correctly rounded; of infinities inf, -inf, or NaN for both, where `math.fsum` raises."""
    values = list(values)
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def t_interval(centre: Centre, confidence: float) -> tuple[float, float]:
    """value ± t · standard error."""
    half = t_quantile(centre.df, confidence) * math.sqrt(centre.variance)
    return centre.value - half, centre.value + half


def t_quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """The factor of the two-sided interval."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, (1 + confidence) / 2))


def _median_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The narrowest [k-th lowest, k-th highest] that covers the median often enough; NaN where k = 1 does not.

    The median lies outside with probability 2 P(B < k), B ~ Binomial(n, 1/2).
    """
    from scipy.special import bdtr

    n = len(values)
    k = 0
    while k < n // 2 and 2 * float(bdtr(k, n, 0.5)) <= 1 - confidence:
        k += 1
    return (values[k - 1], values[n - k]) if k and n >= SMALLEST_SAMPLE else (math.nan, math.nan)
