"""Statistics of one sample of runs, against tables, NumPy, SciPy and by hand."""

from __future__ import annotations

import math
import warnings
from unittest.mock import ANY

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dapo_cli.statistics.estimates import STATISTICS, estimate, t_quantile

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)


@pytest.mark.parametrize(("degrees", "factor"), [(2, 4.303), (3, 3.182), (9, 2.262), (29, 2.045), (1000, 1.962)])
def test_t_quantiles_of_the_textbook(degrees, factor):
    assert t_quantile(degrees) == pytest.approx(factor, abs=5e-4)


def test_a_hand_computed_sample():
    result = estimate([2.0, 4.0, 9.0])
    assert (result.n, result.value) == (3, 5.0)
    assert result.std == pytest.approx(math.sqrt(13))
    half = 4.302652729911275 * math.sqrt(13 / 3)
    assert (result.low, result.high) == pytest.approx((5 - half, 5 + half))


def interval(result):
    return result.low, result.high


@pytest.mark.parametrize("n", [3, 4, 8, 11])
def test_the_mean_and_its_interval_against_scipy(n):
    scores = np.random.default_rng(n).normal(5, 2, n).tolist()
    expected = scipy.stats.ttest_1samp(scores, 0).confidence_interval(0.9)
    result = estimate(scores, confidence=0.9)
    assert interval(result) == pytest.approx((expected.low, expected.high))
    assert result[:2] == (n, pytest.approx(np.mean(scores)))
    assert result[4:] == (pytest.approx(np.std(scores, ddof=1)), "mean", "t")


@pytest.mark.parametrize("n", range(4, 20))
def test_the_interquartile_mean_against_scipy(n):
    """A trimmed mean that is a bound of the interval is just significantly different: p = 1 - confidence."""
    scores = np.random.default_rng(n).normal(5, 2, n)
    result = estimate(scores.tolist(), "iqm")
    assert result.value == pytest.approx(scipy.stats.trim_mean(scores, 0.25), rel=1e-14)
    assert (result.statistic, result.method) == ("iqm", "t")
    for bound in interval(result):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a constant sample
            test = scipy.stats.ttest_ind(scores, np.full(8, bound), equal_var=False, trim=0.25)
        assert test.pvalue == pytest.approx(0.05)


def test_an_interquartile_mean_by_hand():
    """Of 1 2 4 8 100: 2 4 8 are kept, winsorised 2 2 4 8 8, whose mean is 4.8 and whose squares sum to 36.8."""
    result = estimate([100, 4, 1, 8, 2], "iqm")
    assert result.value == pytest.approx(14 / 3)
    half = 4.302652729911275 * math.sqrt(36.8 / (3 * 2))
    assert interval(result) == pytest.approx((14 / 3 - half, 14 / 3 + half))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_interquartile_mean_of_few_runs_is_a_mean_and_says_so(n):
    scores = [1.0, 5.0, 7.0][:n]
    assert str(estimate(scores, "iqm")) == str(estimate(scores, "mean"))  # NaN is not NaN
    assert estimate(scores, "iqm").statistic == "mean"


@pytest.mark.parametrize(("n", "k"), [(6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (20, 6), (25, 8)])
def test_the_median_has_the_interval_of_the_sign_test_tables(n, k):
    result = estimate(list(range(1, n + 1)), "median")
    assert (result.value, *interval(result)) == ((n + 1) / 2, k, n + 1 - k)
    assert result.method == "order statistics"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_median_of_few_runs_has_no_interval_that_reaches_the_confidence(n):
    result = estimate(list(range(n)), "median")
    assert result.value == (n - 1) / 2
    assert math.isnan(result.low)
    assert math.isnan(result.high)
    assert result.method == ""
    assert n < 5 or estimate(list(range(n)), "median", confidence=0.9).method == "order statistics"


def test_the_gap_to_a_target():
    result = estimate([0.5, 0.8, 1.7, 0.9], "gap")
    below = estimate([0.5, 0.2, 0.0, 0.1])
    assert result.value == pytest.approx(0.2)
    assert result.high == pytest.approx(below.high)
    assert below.low < 0.0 == result.low  # a gap is not negative
    assert estimate([50.0, 90.0, 200.0], "gap", target=100.0).value == pytest.approx(20)
    assert estimate([1.0, 1.5, 2.0], "gap")[1:4] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("statistic", STATISTICS)
class TestEveryStatistic:
    def test_one_run_is_a_value_without_interval(self, statistic):
        result = estimate([0.25], statistic)
        assert result.value == (0.75 if statistic == "gap" else 0.25)
        assert all(map(math.isnan, (result.low, result.high, result.std)))
        assert result.method == ""

    def test_two_runs_have_a_spread_and_no_interval(self, statistic):
        result = estimate([0.25, 0.75], statistic)
        assert result.value == 0.5
        assert result.std == pytest.approx(math.sqrt(0.125))
        assert math.isnan(result.low)

    def test_nothing_is_not_a_number(self, statistic):
        result = estimate([], statistic)
        assert result.n == 0
        assert math.isnan(result.value)

    def test_a_nan_is_not_hidden(self, statistic):
        result = estimate([1.0, math.nan, 2.0, 3.0, 4.0, 5.0, 6.0], statistic)
        assert result.n == 7
        assert all(map(math.isnan, result[1:5]))
        assert result.method == ""

    def test_equal_scores_have_an_interval_of_no_width(self, statistic):
        result = estimate([0.1] * 7, statistic)
        expected = 0.9 if statistic == "gap" else 0.1
        assert result[1:5] == (expected, expected, expected, 0.0)

    @given(scores=SCORES, seed=st.integers(0, 100))
    def test_the_order_of_the_scores_changes_no_bit(self, statistic, scores, seed):
        shuffled = np.random.default_rng(seed).permutation(scores).tolist()
        assert repr(estimate(shuffled, statistic)) == repr(estimate(scores, statistic))

    @given(scores=SCORES, shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
    def test_units_do_not_matter(self, statistic, scores, shift, scale):
        moved = [scale * score + shift for score in scores]
        result = estimate(scores, statistic, target=7.0)
        other = estimate(moved, statistic, target=scale * 7.0 + shift)
        add = 0.0 if statistic == "gap" else shift
        expected = [scale * result.value + add, scale * result.low + add, scale * result.high + add]
        assert [other.value, *interval(other)] == pytest.approx(expected, rel=1e-6, abs=1e-6 * scale, nan_ok=True)

    @given(scores=SCORES)
    def test_the_value_lies_in_its_interval(self, statistic, scores):
        result = estimate(scores, statistic)
        assert math.isnan(result.low) or result.low <= result.value <= result.high

    def test_less_confidence_is_a_narrower_interval(self, statistic):
        scores = [0.1 * k * k for k in range(20)]
        wide, narrow = (estimate(scores, statistic, confidence=c, target=50.0) for c in (0.99, 0.5))
        assert wide.low < narrow.low < narrow.high < wide.high


def test_infinite_scores_are_scores():
    """As of steps-to R where some runs never reached R."""
    assert estimate([1.0, 2.0, math.inf])[1:4] == (math.inf, pytest.approx(math.nan, nan_ok=True), ANY)
    assert estimate([1.0, 2.0, 3.0, math.inf], "iqm").value == 2.5
    assert estimate([1.0, 2.0, 3.0, math.inf], "iqm").high < math.inf
    assert estimate([1.0, 2.0, 3.0, 4.0, math.inf, math.inf], "median")[1:4] == (3.5, 1.0, math.inf)
    assert estimate([0.5, math.inf, math.inf], "gap").value == pytest.approx(0.5 / 3)
    assert math.isnan(estimate([-math.inf, math.inf, 0.0]).value)
    assert math.isnan(estimate([-math.inf, math.inf], "median").value)
    assert estimate([math.inf] * 4, "median").value == math.inf
    assert estimate([1e308, 1e308, 1e308]).value == 1e308  # whose sum is beyond what a float can hold


def test_an_unknown_statistic_names_the_known_ones():
    with pytest.raises(ValueError, match="mean, median, iqm, gap"):
        estimate([1.0], "mode")
