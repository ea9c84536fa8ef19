"""Differences, probability of improvement, Holm's correction and equivalence: against SciPy, by hand, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dapo_cli.statistics.differences import Difference, difference, equivalent, holm, improvement
from dapo_cli.statistics.estimates import STATISTICS

SIDE = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=12)
CLEARLY_BETTER = [[2.1, 2.2, 2.0, 2.4, 2.3, 2.05]]
BASE = [[1.0, 1.1, 0.9, 1.2, 1.3]]


def sample(*key: int, n: int, loc: float = 0.0, scale: float = 1.0) -> list[float]:
    return np.random.default_rng(key).normal(loc, scale, n).tolist()


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 10), (5, 5), (8, 11), (20, 4)])
class TestAgainstScipy:
    def test_welch(self, n, m):
        ours, theirs = sample(1, n=n, loc=1.0, scale=3.0), sample(2, n=m)
        expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False)
        bounds = expected.confidence_interval(0.9)
        found = difference([ours], [theirs], confidence=0.9)
        assert found.value == pytest.approx(np.mean(ours) - np.mean(theirs))
        assert found[1:4] == pytest.approx((bounds.low, bounds.high, expected.pvalue))
        assert found.method == "Welch t"

    def test_yuen(self, n, m):
        ours, theirs = sample(1, n=n, loc=1.0, scale=3.0), sample(2, n=m)
        found = difference([ours], [theirs], "iqm")
        if min(n, m) < 4:
            assert found == difference([ours], [theirs], "mean")
            return
        expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False, trim=0.25)
        assert found.value == pytest.approx(scipy.stats.trim_mean(ours, 0.25) - scipy.stats.trim_mean(theirs, 0.25))
        assert found.p == pytest.approx(expected.pvalue)
        assert found.method == "Yuen t"
        # The interval is the test turned round: shifted to a bound, the samples are just significantly different.
        shifted = (np.array(ours) - found.low).tolist()
        assert difference([shifted], [theirs], "iqm").p == pytest.approx(0.05)

    def test_gap(self, n, m):
        ours, theirs = sample(1, n=n), sample(2, n=m)
        below = [np.maximum(0, 0.5 - np.array(scores)) for scores in (ours, theirs)]
        expected = scipy.stats.ttest_ind(*below, equal_var=False)
        found = difference([ours], [theirs], "gap", target=0.5)
        assert (found.value, found.p) == pytest.approx((below[0].mean() - below[1].mean(), expected.pvalue))

    def test_permutation(self, n, m):
        ours, theirs = sample(1, n=n, loc=1.0), sample(2, n=m)
        found = difference([ours], [theirs], "median")
        expected = scipy.stats.permutation_test(
            (ours, theirs),
            lambda x, y, axis: np.abs(scipy.stats.mannwhitneyu(x, y, axis=axis).statistic - n * m / 2),
            vectorized=True,
            alternative="greater",
            n_resamples=2000,
            rng=np.random.default_rng(0),
        )
        assert found.value == pytest.approx(np.median(ours) - np.median(theirs))
        assert found.p == pytest.approx(expected.pvalue, abs=0.03)
        assert found.method == "permutation"
        assert math.isnan(found.low) == (min(n, m) < 5)

    def test_median_with_ties(self, n, m):
        """In larger samples it is the rank test."""
        ours, theirs = np.round(sample(1, n=4 * n, loc=0.5)).tolist(), np.round(sample(2, n=4 * m)).tolist()
        expected = scipy.stats.mannwhitneyu(ours, theirs, method="asymptotic").pvalue
        assert difference([ours], [theirs], "median").p == pytest.approx(expected, abs=0.03)

    def test_improvement(self, n, m):
        ours, theirs = np.round(sample(1, n=n, loc=0.3), 1).tolist(), np.round(sample(2, n=m), 1).tolist()
        expected = scipy.stats.mannwhitneyu(ours, theirs).statistic / (n * m)
        found = improvement([ours], [theirs])
        assert found.value == pytest.approx(expected)
        assert found.low <= found.value <= found.high
        assert (found.n, found.statistic) == (n + m, "improvement")


@pytest.mark.parametrize("environments", [1, 3])
@pytest.mark.parametrize("statistic", STATISTICS)
class TestEveryStatistic:
    def test_a_clear_difference_is_found(self, statistic, environments):
        found = difference(CLEARLY_BETTER * environments, BASE * environments, statistic, target=3.0)
        assert found.p < 0.05
        assert (found.high < 0) if statistic == "gap" else (found.low > 0)

    def test_the_other_way_round_is_the_negative(self, statistic, environments):
        found = difference(CLEARLY_BETTER * environments, BASE * environments, statistic, target=3.0)
        other = difference(BASE * environments, CLEARLY_BETTER * environments, statistic, target=3.0)
        assert other.value == -found.value
        assert (-other.high, -other.low) == pytest.approx((found.low, found.high), abs=0.05)  # bootstraps differ
        assert other.p == pytest.approx(found.p, abs=0.005)

    @pytest.mark.parametrize("fewest", [1, 2])
    def test_few_runs_on_a_side_are_a_value_and_nothing_else(self, statistic, environments, fewest):
        few = [column[:fewest] for column in BASE]
        found = difference(CLEARLY_BETTER * environments, [*BASE * (environments - 1), *few], statistic)
        assert math.isfinite(found.value)
        assert all(map(math.isnan, found[1:4]))
        assert found.method == ""

    def test_nan_and_nothing(self, statistic, environments):
        for missing in ([], [math.nan, 1.0, 2.0]):
            found = difference([*CLEARLY_BETTER * (environments - 1), missing], BASE * environments, statistic)
            assert all(map(math.isnan, found[:4]))
            assert found.method == ""

    def test_equal_constants_are_not_different(self, statistic, environments):
        found = difference([[0.1] * 6] * environments, [[0.1] * 7] * environments, statistic)
        assert found[:4] == (0.0, 0.0, 0.0, 1.0)

    def test_different_constants_are(self, statistic, environments):
        found = difference([[0.5] * 6] * environments, [[0.1] * 7] * environments, statistic)
        assert [found.low, found.high] == [found.value] * 2
        assert abs(found.value) == pytest.approx(0.4)
        assert found.p <= 0.002  # of 13! / (6! 7!) = 1716 permutations, two are as extreme

    def test_infinite_scores_raise_nothing(self, statistic, environments):
        infinite = [[1.0, 2.0, 3.0, 4.0, 5.0, math.inf]]
        found = difference(infinite * environments, BASE * environments, statistic)
        assert not math.isnan(found.value)
        found = difference(infinite * environments, infinite * environments, statistic)
        assert math.isnan(found.value) == (statistic == "mean" or (statistic == "median" and environments > 1))

    def test_the_order_of_the_runs_changes_no_bit(self, statistic, environments):
        shuffled = [column[::-1] for column in CLEARLY_BETTER]
        one = difference(CLEARLY_BETTER * environments, BASE * environments, statistic, resamples=100)
        assert difference(shuffled * environments, BASE * environments, statistic, resamples=100) == one

    def test_a_seed_and_another(self, statistic, environments):
        one, again, other = (
            difference(CLEARLY_BETTER * environments, BASE * environments, statistic, resamples=200, seed=seed)
            for seed in (0, 0, 1)
        )
        assert one == again
        assert (one == other) == (environments == 1 and statistic != "median")  # t tests draw nothing


@given(ours=SIDE, theirs=SIDE, shift=st.floats(-100, 100), scale=st.floats(0.1, 10))
def test_units_do_not_matter(ours, theirs, shift, scale):
    for statistic in ("mean", "iqm"):
        found = difference([ours], [theirs], statistic)
        other = difference([[scale * x + shift for x in ours]], [[scale * x + shift for x in theirs]], statistic)
        assert other.value == pytest.approx(scale * found.value, rel=1e-6, abs=1e-6)
        assert other.high - other.low == pytest.approx(scale * (found.high - found.low), rel=1e-4, abs=1e-4)


def test_environments_that_cannot_be_paired():
    with pytest.raises(ValueError, match="2 environments cannot be compared with 1"):
        difference(BASE * 2, BASE)
    with pytest.raises(ValueError, match="1 environments cannot be compared with 2"):
        improvement(BASE, BASE * 2)


def test_the_sides_are_drawn_independently():
    """Were both sides given the same resamples, equal samples would never differ."""
    environments = [sample(3, index, n=8) for index in range(3)]
    found = difference(environments, environments)
    assert found.value == 0.0
    assert found.low < -0.2 < 0.2 < found.high
    assert found.p > 0.9


def test_tight_clusters_that_are_far_apart_have_different_medians():
    """Of the 252 permutations two are as extreme; of their differences of medians most are as large."""
    ours, theirs = [[5.0, 5.1, 5.2, 5.3, 5.4]], [[1.0, 1.1, 1.2, 1.3, 1.4]]
    assert difference(ours, theirs, "median").p == pytest.approx(2 / 252, abs=0.004)


def test_an_empty_tail_is_a_p_value_all_the_same():
    found = difference([[9.0, 10.0, 11.0]] * 2, [[1.0, 2.0, 3.0]] * 2, resamples=999)
    assert found.p == 2 / 1000


class TestImprovement:
    def test_ties_are_a_half(self):
        assert improvement([[1.0, 2.0, 3.0]], [[2.0, 2.0, 2.0]]).value == 0.5
        assert improvement([[math.inf, 1.0]], [[math.inf, 0.0]]).value == 2.5 / 4

    def test_environments_have_equal_weight(self):
        found = improvement([[1.0], [0.0] * 9], [[0.0], [1.0] * 4])
        assert found.value == 0.5

    def test_a_complete_separation_has_an_exact_bound(self):
        """All of k independent pairs are won with probability p^k: 0.025 at the bound."""
        found = improvement([[4.0, 5.0, 6.0, 7.0]], [[1.0, 2.0, 3.0]])
        assert (found.value, found.high, found.method) == (1.0, 1.0, "exact bound")
        assert found.low**3 == pytest.approx(0.025)
        other = improvement([[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0, 7.0]])
        assert (other.value, other.low, other.high) == (0.0, 0.0, pytest.approx(1 - found.low))
        both = improvement([[4.0, 5.0, 6.0]] * 2, [[1.0, 2.0, 3.0]] * 2)
        assert both.low**6 == pytest.approx(0.025)

    def test_a_separation_that_is_not_always_in_favour(self):
        found = improvement([[4.0, 5.0, 6.0], [0.0, 0.1, 0.2]], [[1.0, 2.0, 3.0]] * 2)
        assert found.value == 0.5
        assert (found.low, found.high) == pytest.approx((0.5 * 0.025 ** (1 / 3), 1 - 0.5 * 0.025 ** (1 / 3)))

    def test_few_runs(self):
        found = improvement([[1.0, 2.0]], [[0.0, 3.0, 4.0]])
        assert found.value == pytest.approx(2 / 6)
        assert math.isnan(found.low)
        assert math.isnan(improvement([[1.0, math.nan]], [[1.0, 2.0]]).value)
        assert math.isnan(improvement([[]], [[1.0, 2.0]]).value)

    def test_the_bounds_of_a_separation_cover(self):
        """Five runs a side, P(X > Y) = 0.9: the interval contains it at least as often as it says."""
        rng = np.random.default_rng(0)
        shift = scipy.stats.norm.ppf(0.9) * math.sqrt(2)
        ours, theirs = rng.normal(shift, 1.0, (400, 1, 5)).tolist(), rng.normal(0.0, 1.0, (400, 1, 5)).tolist()
        found = [improvement(x, y, resamples=300) for x, y in zip(ours, theirs, strict=True)]
        separated = [e for e in found if e.method == "exact bound"]
        assert len(separated) > 50
        assert all(e.low <= 0.9 <= e.high for e in separated)  # the bootstrap would have said [1, 1]


class TestHolm:
    def test_by_hand(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm([0.2, 0.9, 0.6]) == pytest.approx([0.6, 1.0, 1.0])
        assert holm([]) == []

    def test_nan_does_not_count(self):
        assert holm([math.nan, 0.02, math.nan, 0.03]) == pytest.approx([math.nan, 0.04, math.nan, 0.04], nan_ok=True)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
    def test_it_is_between_no_correction_and_bonferroni_s(self, ps):
        adjusted = holm(ps)
        for p, found in zip(ps, adjusted, strict=True):
            assert p <= found <= min(1.0, p * len(ps))
        assert [p for _, p in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)

    def test_the_family_wise_error_is_what_it_says(self):
        """Five algorithms that are equal to the base: a false difference in at most 5 % of all columns, not in 20 %."""
        rng = np.random.default_rng(0)
        wrong, uncorrected, families = 0, 0, 1500
        for family in rng.normal(size=(families, 6, 5)).tolist():
            ps = [difference([scores], [family[0]]).p for scores in family[1:]]
            wrong += min(holm(ps)) < 0.05
            uncorrected += min(ps) < 0.05
        assert wrong / families < 0.05
        assert uncorrected / families > 0.10


class TestEquivalence:
    @pytest.mark.parametrize(
        ("low", "high", "claim"),
        [
            (-0.1, 0.15, "equivalent"),
            (0.05, 0.15, "equivalent"),  # different from 0, but not by as much as matters
            (-0.1, 0.25, "undecided"),
            (-5.0, 5.0, "undecided"),  # that no difference was found is no claim
            (0.1, 0.3, "undecided"),
            (0.21, 0.5, "different"),
            (-0.5, -0.21, "different"),
            (math.nan, math.nan, "undecided"),
        ],
    )
    def test_the_whole_interval_decides(self, low, high, claim):
        assert equivalent(Difference((low + high) / 2, low, high, 0.9, "Welch t"), 0.2) == claim

    def test_margins(self):
        found = Difference(0.0, 0.0, 0.0, 1.0, "Welch t")
        assert equivalent(found, 0.1) == "equivalent"
        assert equivalent(found, 0.0) == equivalent(found, math.nan) == "undecided"
        with pytest.raises(ValueError, match="not negative"):
            equivalent(found, -0.1)

    def test_it_is_claimed_wrongly_in_at_most_5_percent(self):
        """The true difference is the margin; two one-sided tests at 5 %."""
        rng = np.random.default_rng(0)
        wrong = [
            equivalent(difference([ours], [theirs], confidence=0.9), 1.0) == "equivalent"
            for ours, theirs in zip(
                rng.normal(1.0, 0.3, (2000, 8)).tolist(), rng.normal(0.0, 0.3, (2000, 8)).tolist(), strict=True
            )
        ]
        assert 0.03 < np.mean(wrong) < 0.065
