"""What a sample of final returns says: mean, spread, and how well the mean is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95
SMALLEST_SAMPLE = 3  # below that, an interval says more about the formula than about the runs


class Summary(NamedTuple):
    """Of n values: NaN where the sample is too small, or a value is not finite.

    `std` is the sample's own standard deviation (n - 1 in the denominator, n >= 2); `low` and `high` bound the 95 %
    Student t interval of the mean (n >= 3).
    """

    n: int
    mean: float
    std: float
    low: float
    high: float


def summarize(values: Sequence[float], *, interval: bool = True) -> Summary:
    """Mean, standard deviation and, unless it is not wanted, interval of `values`; at least one."""
    n = len(values)
    if not all(map(math.isfinite, values)):
        return Summary(n, math.nan, math.nan, math.nan, math.nan)
    mean = math.fsum(values) / n
    if n < 2:
        return Summary(n, mean, math.nan, math.nan, math.nan)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    if n < SMALLEST_SAMPLE or not interval:
        return Summary(n, mean, std, math.nan, math.nan)
    half = t_quantile(n - 1) * std / math.sqrt(n)
    return Summary(n, mean, std, mean - half, mean + half)


def t_quantile(degrees_of_freedom: int) -> float:
    """The factor of the two-sided 95 % interval."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))
