"""Performance profiles: how many runs are better than a score, for every score (Agarwal et al. 2021, section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dapo_cli.statistics.bootstrap import SEED, Floats, ranks, resampled
from dapo_cli.statistics.estimates import CONFIDENCE, RESAMPLES, SMALLEST_SAMPLE, ordered

COLUMNS = 64  # thresholds whose resamples are in memory at a time
DIGITS = 12  # the fractions of runs are rounded to so many, so that all runs are 1


def profile(
    strata: Sequence[Sequence[float]],
    thresholds: Sequence[float],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[Floats, Floats, Floats]:
    """The fraction of runs with score > threshold, its low and its high: each (k,) for k thresholds.

    Environments have equal weight. The band is pointwise: each of its points covers at `confidence`, not all at once.
    Low and high are NaN where an environment has fewer than 3 runs; all three, where one has none or a score is NaN.
    """
    columns = sorted(map(ordered, strata))
    nothing = np.full(len(thresholds), np.nan)
    if not columns or not all(columns) or any(math.isnan(score) for column in columns for score in column):
        return nothing, nothing.copy(), nothing.copy()
    sizes = [len(column) for column in columns]
    above = np.concatenate(columns)[:, None] > np.asarray(thresholds, dtype=np.float64)  # (runs, k)
    above = above.astype(np.float64)
    value = (np.repeat(1 / (len(sizes) * np.array(sizes)), sizes) @ above).round(DIGITS)
    if min(sizes) < SMALLEST_SAMPLE:
        return value, nothing, nothing.copy()
    limits = list(ranks(resamples, confidence))
    bounds = []
    for start in range(0, len(thresholds), COLUMNS):
        rng = np.random.default_rng(seed)  # the same resamples for every threshold
        part = above[:, start : start + COLUMNS]
        sample = np.concatenate([weights @ part for weights in resampled(sizes, resamples, rng)])
        bounds.append(np.partition(sample, limits, axis=0)[limits].round(DIGITS))
    low, high = np.concatenate(bounds, axis=1) if bounds else (nothing, nothing.copy())
    return value, low, high
