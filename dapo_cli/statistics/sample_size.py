"""How many seeds a comparison, or an interval of a given width, needs.

The standard deviations are taken as known; from a pilot of few runs they are not, and neither is the answer.
"""

from __future__ import annotations

import math

import numpy as np

from dapo_cli.statistics.differences import MIN_DECIDED
from dapo_cli.statistics.estimates import CONFIDENCE, SMALLEST_SAMPLE, t_quantile

MOST_SEEDS = 100_000
NODES = 64  # of the quadrature


def power_at(n: int, gap: float, std_one: float, std_other: float, alpha: float = 0.05) -> float:
    """The probability that Welch's two-sided test at `alpha` finds a difference of means of `gap`, n >= 2 runs a side.

    Exact for normal scores. The sums of squares are σ₁²χ₁² and σ₂²χ₂², with n - 1 degrees of freedom each; b = χ₁² /
    (χ₁² + χ₂²) has a beta distribution and fixes Welch's degrees of freedom. χ₁² + χ₂² is independent of b, so that
    given b Welch's statistic is a multiple of a noncentral t with 2 (n - 1) degrees of freedom. The mean over b is a
    quadrature. NaN where an argument is not finite.
    """
    from scipy.special import betaincinv, nctdtr, ndtr, stdtrit

    if not (math.isfinite(gap) and math.isfinite(std_one) and math.isfinite(std_other)):
        return math.nan
    largest = max(abs(std_one), abs(std_other))
    if largest == 0.0:
        return 1.0 if gap else alpha
    one, other = (std_one / largest) ** 2, (std_other / largest) ** 2
    shift = abs(gap) / largest * math.sqrt(n / (one + other))
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    b = betaincinv((n - 1) / 2, (n - 1) / 2, (1 + nodes) / 2)
    spread = one * b + other * (1 - b)
    share = one * b / spread
    limit = stdtrit((n - 1) / (share**2 + (1 - share) ** 2), 1 - alpha / 2) * np.sqrt(2 * spread / (one + other))
    within = nctdtr(2 * (n - 1), shift, limit) - nctdtr(2 * (n - 1), shift, -limit)
    normal = ndtr(limit - shift) - ndtr(-limit - shift)  # for where nctdtr gives up, far out
    return 1.0 - float(weights @ np.where(np.isnan(within), normal, within)) / 2


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
