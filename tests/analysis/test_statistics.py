"""Mean, spread and interval, against values from a table and against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dapo_cli.analysis.statistics import summarize, t_quantile


@pytest.mark.parametrize(("degrees", "factor"), [(2, 4.303), (3, 3.182), (9, 2.262), (29, 2.045), (1000, 1.962)])
def test_t_quantiles_of_the_textbook(degrees, factor):
    assert t_quantile(degrees) == pytest.approx(factor, abs=5e-4)


def test_a_hand_computed_sample():
    summary = summarize([2.0, 4.0, 9.0])
    assert (summary.n, summary.mean) == (3, 5.0)
    assert summary.std == pytest.approx(math.sqrt(13))
    half = 4.302652729911275 * math.sqrt(13 / 3)
    assert (summary.low, summary.high) == pytest.approx((5 - half, 5 + half))


def test_small_samples_claim_nothing():
    one = summarize([3.0])
    assert one[:2] == (1, 3.0)
    assert all(map(math.isnan, one[2:]))
    two = summarize([1.0, 3.0])
    assert two[:3] == (2, 2.0, pytest.approx(math.sqrt(2)))
    assert all(map(math.isnan, two[3:]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_not_hidden(value):
    summary = summarize([1.0, 2.0, value, 3.0])
    assert summary.n == 4
    assert all(map(math.isnan, summary[1:]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=20))
def test_against_numpy(values):
    summary = summarize(values)
    assert summary.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert summary.std == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-6)
    assert summary.low <= summary.mean <= summary.high


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(7.0, 3.0, size=(4000, 5))
    covered = np.mean([summary.low <= 7.0 <= summary.high for summary in map(summarize, samples.tolist())])
    assert covered == pytest.approx(0.95, abs=0.012)
