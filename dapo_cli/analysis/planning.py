"""How many seeds a comparison, or an interval of a given width, needs.

The standard deviations are taken as known; from a pilot of few runs they are not, and neither is the answer.
"""

from __future__ import annotations

import math

from dapo_cli.analysis.differences import MIN_DECIDED
from dapo_cli.analysis.statistics import CONFIDENCE, SMALLEST_SAMPLE, t_quantile

MOST_SEEDS = 100_000


def power_at(n: int, gap: float, std_one: float, std_other: float, alpha: float = 0.05) -> float:
    """The probability that Welch's two-sided test at `alpha` finds a difference of means of `gap`, n >= 2 runs a side.

    For normal scores, with Welch's degrees of freedom at the standard deviations given; noncentral t. NaN where an
    argument is not finite.
    """
    from scipy.special import nctdtr, ndtr

    if not (math.isfinite(gap) and math.isfinite(std_one) and math.isfinite(std_other)):
        return math.nan
    one, other = std_one * std_one / n, std_other * std_other / n  # squared standard errors
    if one + other == 0.0:
        return 1.0 if gap else alpha
    share = one / (one + other)
    df = (n - 1) / (share * share + (1 - share) ** 2)
    shift = abs(gap) / math.sqrt(one + other)
    limit = t_quantile(df, 1 - alpha)
    below, above = nctdtr(df, shift, -limit), nctdtr(df, shift, limit)
    if math.isnan(below) or math.isnan(above):  # nctdtr gives up far from 0, where the normal distribution does
        below, above = ndtr(-limit - shift), ndtr(limit - shift)
    return float(below + 1 - above)


def seeds_to_separate(
    gap: float, std_one: float, std_other: float, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Runs on each side with which Welch's test at `alpha` finds a difference of means of `gap` with that power.

    At least MIN_DECIDED, below which no claim is decided; None where even MOST_SEEDS are too few, and for a NaN.
    """
    low, high = MIN_DECIDED - 1, MOST_SEEDS
    if not power_at(high, gap, std_one, std_other, alpha) >= power:
        return None
    while high - low > 1:  # power grows with n: it is reached at `high`, and not, or not to be asked for, at `low`
        middle = (low + high) // 2
        if power_at(middle, gap, std_one, std_other, alpha) >= power:
            high = middle
        else:
            low = middle
    return high


def seeds_for_width(std: float, width: float, *, confidence: float = CONFIDENCE) -> int:
    """Runs with which the t interval of a mean is at most `width` wide, from bound to bound; at least 3.

    Raises ValueError unless `std` is finite and not negative, and `width` positive.
    """
    if not (0 <= std < math.inf and width > 0):
        raise ValueError("a standard deviation is finite and not negative, a width is positive")
    from scipy.special import ndtri

    # The normal quantile is below t's, so that fewer runs than this never do; a few more always do.
    n = max(SMALLEST_SAMPLE, math.floor((2 * float(ndtri((1 + confidence) / 2)) * std / width) ** 2))
    while 2 * t_quantile(n - 1, confidence) * std / math.sqrt(n) > width:
        n += 1
    return n
