"""Statistics over environments, against rliable 1.2 and arch, and where these have nothing to say."""

from __future__ import annotations

import importlib.util
import math
import sys
import types
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dapo_cli.statistics import bootstrap
from dapo_cli.statistics.bootstrap import aggregate, draws
from dapo_cli.statistics.differences import improvement
from dapo_cli.statistics.estimates import STATISTICS, estimate
from dapo_cli.statistics.profiles import profile

SAME_MEANING = {"mean": "aggregate_mean", "median": "aggregate_median", "iqm": "aggregate_iqm"}
STRATA = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=7), min_size=2, max_size=5)


@pytest.fixture(scope="module")
def rliable():
    """rliable's two modules. Of arch, which needs an older pandas, only the bootstrap is imported."""
    arch = types.ModuleType("arch")
    arch.__path__ = list(importlib.util.find_spec("arch").submodule_search_locations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "arch", arch)
        from rliable import library, metrics
    return types.SimpleNamespace(library=library, metrics=metrics)


def rectangle(environments: int, runs: int, seed: int = 0) -> np.ndarray:
    """Skewed scores, rounded so that some are ties: (environments, runs)."""
    return np.random.default_rng([environments, runs, seed]).gamma(2.0, 0.4, (environments, runs)).round(2)


@pytest.mark.parametrize("runs", [1, 2, 3, 5, 8, 10])
@pytest.mark.parametrize("environments", [2, 3, 6])
class TestPointEstimatesAreThoseOfRliable:
    @pytest.mark.parametrize("statistic", SAME_MEANING)
    def test_statistics(self, rliable, environments, runs, statistic):
        scores = rectangle(environments, runs)
        expected = getattr(rliable.metrics, SAME_MEANING[statistic])(scores.T)
        assert aggregate(scores.tolist(), statistic, resamples=10).value == pytest.approx(expected, rel=1e-13)

    def test_optimality_gap(self, rliable, environments, runs):
        scores = rectangle(environments, runs)
        expected = rliable.metrics.aggregate_optimality_gap(scores.T, gamma=0.9)
        assert aggregate(scores.tolist(), "gap", target=0.9, resamples=10).value == pytest.approx(expected, rel=1e-12)

    def test_probability_of_improvement(self, rliable, environments, runs):
        ours, theirs = rectangle(environments, runs), rectangle(environments, runs + 1, 1)
        expected = rliable.metrics.probability_of_improvement(ours.T, theirs.T)
        assert improvement(ours.tolist(), theirs.tolist(), resamples=10).value == pytest.approx(expected, rel=1e-13)

    def test_performance_profile(self, rliable, environments, runs):
        scores = rectangle(environments, runs)
        thresholds = [0.0, 0.5, float(scores[0, 0]), 2.0]
        expected = rliable.library.score_distributions(scores.T, thresholds)
        assert profile(scores.tolist(), thresholds, resamples=10)[0] == pytest.approx(expected)


class TestIntervalsAreThoseOfRliable:
    """Two bootstraps of 2000 resamples: a bound's standard error is 2 to 3 % of the interval's width."""

    runs = 8

    def check(self, rliable, found, scores, function):
        np.random.seed(0)  # rliable draws from NumPy's global generator, whatever it is given
        _, bounds = rliable.library.get_interval_estimates({"": scores}, function, reps=2000)
        low, high = bounds[""][:, 0]
        assert [found.low, found.high] == pytest.approx([low, high], abs=0.1 * (high - low))
        assert found.method == "bootstrap"

    @pytest.mark.parametrize("statistic", SAME_MEANING)
    def test_statistics(self, rliable, statistic):
        scores = rectangle(4, self.runs)
        function = getattr(rliable.metrics, SAME_MEANING[statistic])
        found = aggregate(scores.tolist(), statistic)
        self.check(rliable, found, scores.T, lambda x: np.array([function(x)]))

    def test_optimality_gap(self, rliable):
        scores = rectangle(4, self.runs)
        found = aggregate(scores.tolist(), "gap")
        self.check(rliable, found, scores.T, lambda x: np.array([rliable.metrics.aggregate_optimality_gap(x)]))

    def test_probability_of_improvement(self, rliable):
        ours, theirs = rectangle(4, self.runs), rectangle(4, self.runs, 1)
        found = improvement(ours.tolist(), theirs.tolist())
        function = rliable.metrics.probability_of_improvement
        self.check(rliable, found, [ours.T, theirs.T], lambda x, y: np.array([function(x, y)]))

    def test_performance_profile(self, rliable):
        scores = rectangle(4, self.runs)
        thresholds = np.array([0.3, 0.6, 1.0])
        np.random.seed(0)
        _, bounds = rliable.library.create_performance_profile({"": scores.T}, thresholds)
        _, low, high = profile(scores.tolist(), thresholds.tolist())
        assert np.abs(np.stack([low, high]) - bounds[""]).max() < 2 / scores.size  # these are steps of 1/32


def repeated_to_equal_numbers(strata: list[list[float]]) -> list[list[float]]:
    """The same distribution in every environment, with equally many scores in all."""
    most = math.lcm(*map(len, strata))
    return [[score for score in scores for _ in range(most // len(scores))] for scores in strata]


@given(strata=STRATA)
def test_environments_have_equal_weight_whatever_their_seeds(strata):
    equal = repeated_to_equal_numbers(strata)
    for statistic in ("mean", "median", "gap"):
        found = aggregate(strata, statistic, resamples=10).value
        assert found == pytest.approx(aggregate(equal, statistic, resamples=10).value, rel=1e-9, abs=1e-9)


@given(strata=STRATA)
def test_the_interquartile_mean_of_unequal_seeds_is_that_of_the_weighted_mass(strata):
    """Against exact arithmetic: every score is as many equal parts as make all parts the same mass."""
    n = sum(map(len, strata))
    if n < 4:
        return
    parts = sorted(score for scores in repeated_to_equal_numbers(strata) for score in scores for _ in range(n))
    cut = len(parts) // n * (n // 4)
    kept = parts[cut : len(parts) - cut]
    expected = float(sum(map(Fraction, kept)) / len(kept))
    assert aggregate(strata, "iqm", resamples=10).value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_unequal_seeds_by_hand():
    """A run has 1/4 of the mass in the first environment, 1/12 in the second; a quarter is cut at each end.

    At the lower end that is 0; at the upper 9 (1/12), and 2/12 of what 6 has, which leaves 1/12 of it.
    """
    strata = [[0.0, 6.0], [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]]
    assert aggregate(strata, "mean").value == pytest.approx((3 + 4) / 2)
    assert aggregate(strata, "iqm").value == pytest.approx((1 + 2 + 3 + 4 + 5 + 6) / 6)


@pytest.mark.parametrize("statistic", STATISTICS)
class TestEveryStatistic:
    def test_one_environment_is_a_cell(self, statistic):
        scores = [0.3, 0.5, 0.1, 0.9, 0.4, 0.35]
        assert aggregate([scores], statistic) == estimate(scores, statistic)

    def test_the_same_seed_gives_the_same_interval_and_another_another(self, statistic):
        strata = rectangle(3, 10).tolist()
        assert aggregate(strata, statistic) == aggregate(strata, statistic)
        assert aggregate(strata, statistic)[2:4] != aggregate(strata, statistic, seed=1)[2:4]

    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000))
    def test_no_order_changes_a_bit(self, statistic, seed):
        strata = [scores[: 5 + index] for index, scores in enumerate(rectangle(3, 9).tolist())]
        rng = np.random.default_rng(seed)
        shuffled = [rng.permutation(strata[index]).tolist() for index in rng.permutation(len(strata))]
        assert repr(aggregate(shuffled, statistic, resamples=50)) == repr(aggregate(strata, statistic, resamples=50))

    @settings(max_examples=20)
    @given(shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
    def test_units_do_not_matter(self, statistic, shift, scale):
        strata = rectangle(3, 5).tolist()
        moved = [[scale * score + shift for score in scores] for scores in strata]
        found = aggregate(strata, statistic, resamples=100)
        other = aggregate(moved, statistic, target=scale + shift, resamples=100)
        add = 0.0 if statistic == "gap" else shift
        assert other[1:4] == pytest.approx([scale * x + add for x in found[1:4]], rel=1e-6, abs=1e-6 * scale)

    @pytest.mark.parametrize("fewest", [1, 2])
    def test_few_runs_in_one_environment_are_a_value_without_interval(self, statistic, fewest):
        found = aggregate([*rectangle(2, 9).tolist(), [0.5, 0.7][:fewest]], statistic)
        assert found.n == 18 + fewest
        assert math.isfinite(found.value)
        assert all(map(math.isnan, found[2:5]))
        assert found.method == ""

    @pytest.mark.parametrize("strata", [[], [[]], [[1.0], []], [[1.0, math.nan], [2.0, 3.0]]], ids=str)
    def test_what_has_no_value(self, statistic, strata):
        found = aggregate(strata, statistic)
        assert found.n == sum(map(len, strata))
        assert all(map(math.isnan, found[1:5]))
        assert found.method == ""

    def test_equal_scores_have_an_interval_of_no_width(self, statistic):
        found = aggregate([[0.1] * 3, [0.1] * 4, [0.1] * 5], statistic)
        assert found[1:4] == pytest.approx([0.9 if statistic == "gap" else 0.1] * 3, rel=1e-15)
        assert found.low == found.value == found.high

    def test_all_resamples_are_there_when_memory_is_short(self, statistic, monkeypatch):
        strata = rectangle(3, 10).tolist()
        monkeypatch.setattr(bootstrap, "CHUNK", 30 * 7)
        sample = draws(strata, statistic, resamples=100)
        assert sample.shape == (100,)
        assert len(np.unique(sample)) > 50


def test_infinite_scores_are_scores():
    strata = [[1.0, 2.0, 3.0, math.inf], [1.0, 2.0, 3.0, 4.0], [2.0, 2.5, 3.0, 3.5]]
    assert aggregate(strata, "mean").value == math.inf
    assert aggregate(strata, "mean").high == math.inf
    assert aggregate(strata, "median").value == 2.75
    assert aggregate(strata, "iqm").value == pytest.approx((2 + 2 + 2.5 + 3 + 3 + 3) / 6)
    assert math.isfinite(aggregate(strata, "iqm").low)
    assert aggregate(strata, "gap", target=2.0).value == pytest.approx((1 / 4 + 1 / 4 + 0) / 3)
    assert math.isnan(aggregate([*strata, [-math.inf, 0.0, 1.0]], "mean").value)


def test_an_edge_of_no_mass_has_no_infinite_score():
    """With 7 runs the masses do not add up exactly; what is cut is cut wholly."""
    strata = [[float(k) for k in range(5)] + [math.inf, math.inf], [float(k) for k in range(7)]]
    kept = sorted([*range(5), *range(7)])[3:]
    assert aggregate(strata, "iqm").value == pytest.approx(sum(kept[:8]) / 8)


def test_draws_vary_as_the_mean_does():
    """The bootstrap's variance of a mean is that of the sample over n, stratum by stratum."""
    strata = rectangle(3, 10).tolist()
    expected = sum(np.var(scores) / 10 for scores in strata) / 9
    assert np.var(draws(strata, "mean", resamples=20_000)) == pytest.approx(expected, rel=0.05)


def test_percentiles_are_outward():
    sample = np.arange(1000.0)
    assert bootstrap.percentiles(sample, 0.95) == (24.0, 975.0)
    assert all(map(math.isnan, bootstrap.percentiles(np.array([1.0, math.nan]), 0.95)))
    assert bootstrap.percentiles(np.array([-math.inf] * 30 + [0.0] * 40 + [math.inf] * 30), 0.95) == (
        -math.inf,
        math.inf,
    )
