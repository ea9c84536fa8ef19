"""Performance profiles: what they are, and their band; rliable's are compared with in test_bootstrap.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dapo_cli.statistics import profiles
from dapo_cli.statistics.profiles import profile


def test_the_fraction_of_runs_that_are_better():
    value, _, _ = profile([[1.0, 2.0, 3.0, 4.0]], [0.0, 1.0, 2.5, 4.0])
    assert value.tolist() == [1.0, 0.75, 0.5, 0.0]  # strictly better


def test_environments_have_equal_weight():
    value, low, _ = profile([[1.0], [0.0] * 9], [0.5])
    assert value.tolist() == [0.5]
    assert np.isnan(low).all()  # one run has no spread


def test_the_band_of_one_environment_is_binomial():
    """How many of n runs drawn are above is binomial, so that its quantiles are known."""
    scores = np.linspace(0.01, 0.99, 20).tolist()
    thresholds = [0.2, 0.5, 0.7]
    value, low, high = profile([scores], thresholds, resamples=20_000)
    expected = [stats.binom.ppf([0.025, 0.975], 20, fraction) / 20 for fraction in value]
    assert np.abs(np.stack([low, high], axis=1) - expected).max() <= 0.05 + 1e-9  # one run


def test_it_falls_and_lies_in_its_band(monkeypatch):
    monkeypatch.setattr(profiles, "COLUMNS", 7)
    strata = np.random.default_rng(0).normal(size=(4, 6)).tolist()
    thresholds = np.linspace(-4, 4, 50).tolist()
    value, low, high = profile(strata, thresholds, resamples=500)
    assert value.shape == low.shape == high.shape == (50,)
    for curve in (value, low, high):
        assert curve[0] == 1.0
        assert curve[-1] == 0.0
        assert (np.diff(curve) <= 0).all()
    assert (low <= value).all()
    assert (value <= high).all()
    whole = profile(strata, thresholds, resamples=500)
    monkeypatch.setattr(profiles, "COLUMNS", 64)
    assert all(map(np.array_equal, profile(strata, thresholds, resamples=500), whole))


def test_infinite_scores_and_thresholds():
    value, _, _ = profile([[1.0, math.inf, -math.inf, 2.0]], [-math.inf, 1.5, math.inf])
    assert value.tolist() == [0.75, 0.5, 0.0]


@pytest.mark.parametrize("strata", [[], [[]], [[1.0], []], [[1.0, 2.0, math.nan]]], ids=str)
def test_what_has_no_profile(strata):
    assert all(np.isnan(curve).all() and curve.shape == (2,) for curve in profile(strata, [0.0, 1.0]))


def test_no_thresholds():
    assert [curve.shape for curve in profile([[1.0, 2.0, 3.0]], [])] == [(0,)] * 3


def test_no_order_changes_a_bit():
    strata = np.random.default_rng(0).normal(size=(3, 6)).tolist()
    one = profile(strata, [-1.0, 0.0, 1.0], resamples=100)
    other = profile([scores[::-1] for scores in strata[::-1]], [-1.0, 0.0, 1.0], resamples=100)
    assert all(map(np.array_equal, one, other))
