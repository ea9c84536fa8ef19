"""How many seeds: against simulated experiments and textbook tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from dapo_cli.statistics.estimates import estimate, t_quantile
from dapo_cli.statistics.sample_size import power_at, seeds_for_width, seeds_to_separate


@pytest.mark.parametrize(
    ("n", "gap", "std_one", "std_other"),
    [(3, 3.0, 1.0, 1.0), (5, 1.5, 1.0, 1.0), (5, -4.0, 3.0, 1.0), (10, 1.0, 0.5, 1.5), (20, 0.0, 1.0, 2.0)],
)
def test_the_power_is_that_of_simulated_experiments(n, gap, std_one, std_other):
    rng = np.random.default_rng(n)
    ours, theirs = rng.normal(gap, std_one, (20_000, n)), rng.normal(0.0, std_other, (20_000, n))
    found = (scipy.stats.ttest_ind(ours, theirs, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert power_at(n, gap, std_one, std_other) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 64), (0.8, 26), (1.0, 17), (1.5, 9), (2.0, 6)])
def test_the_seeds_of_the_power_tables(effect, seeds):
    """Cohen 1988: two equal groups, two-sided 5 %, power 80 %."""
    assert seeds_to_separate(effect, 1.0, 1.0) == seeds
    assert seeds_to_separate(-100 * effect, 100.0, 100.0) == seeds


def test_it_is_the_smallest_number():
    for gap in (0.11, 0.3, 0.7, 1.3):
        for power in (0.5, 0.8, 0.95):
            n = seeds_to_separate(gap, 1.0, 0.4, power=power)
            assert power_at(n, gap, 1.0, 0.4) >= power
            assert n == 5 or power_at(n - 1, gap, 1.0, 0.4) < power


def test_power_grows_with_seeds_up_to_one():
    powers = [power_at(n, 0.4, 1.0, 2.0) for n in (2, 3, 5, 10, 100, 1000, 10_000, 100_000, 10_000_000)]
    assert powers == sorted(powers)
    assert powers[-1] == pytest.approx(1.0)
    assert power_at(100, 1e9, 1.0, 1.0) == 1.0  # where the noncentral t distribution gives up
    assert power_at(5, 1.0, 1.0, 1.0, alpha=0.01) < power_at(5, 1.0, 1.0, 1.0)


def test_without_a_difference_the_power_is_the_error():
    assert power_at(50, 0.0, 1.0, 1.0) == pytest.approx(0.05, abs=5e-4)
    assert 0.03 < power_at(3, 0.0, 1.0, 1.0) < 0.05  # Welch's test is a little careful with few runs
    assert power_at(7, 0.0, 0.0, 0.0) == 0.05
    assert power_at(7, 0.1, 0.0, 0.0) == 1.0


def test_at_least_as_many_as_decide_anything():
    assert seeds_to_separate(100.0, 1.0, 1.0) == seeds_to_separate(1.0, 0.0, 0.0) == 5


@pytest.mark.parametrize("gap", [0.0, 1e-9, math.nan])
def test_what_no_number_of_seeds_separates(gap):
    assert seeds_to_separate(gap, 1.0, 1.0) is None


def test_what_is_not_a_number_has_no_power():
    assert math.isnan(power_at(5, math.inf, 1.0, 1.0))
    assert seeds_to_separate(1.0, math.nan, 1.0) is None


@pytest.mark.parametrize("width", [0.01, 0.3, 0.5, 1.0, 2.0, 4.0, 5.0])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_smallest_sample_whose_interval_is_as_narrow(width, confidence):
    n = seeds_for_width(1.0, width, confidence=confidence)
    assert 2 * t_quantile(n - 1, confidence) / math.sqrt(n) <= width
    assert n == 3 or 2 * t_quantile(n - 2, confidence) / math.sqrt(n - 1) > width
    assert seeds_for_width(1000.0, 1000 * width, confidence=confidence) == n


def test_the_interval_is_the_one_that_a_table_shows():
    scores = np.linspace(-1.0, 1.0, 9)
    scores *= 2.0 / scores.std(ddof=1)
    found = estimate(scores.tolist())
    assert seeds_for_width(2.0, found.high - found.low + 1e-9) == 9


def test_a_width_without_spread_or_sense():
    assert seeds_for_width(0.0, 0.1) == 3
    for std, width in [(1.0, 0.0), (1.0, -1.0), (-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)]:
        with pytest.raises(ValueError, match="a width is positive"):
            seeds_for_width(std, width)
