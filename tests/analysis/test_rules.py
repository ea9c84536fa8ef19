"""The decision rules: each holds, is lost and stays open where its words say so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dapo_cli.analysis.claims import rules
from dapo_cli.analysis.claims.rules import CONTRARY, HOLDS, UNDECIDED, decide

TIGHT = (-0.02, -0.01, 0.0, 0.01, 0.02)
WIDE = (-1.0, -0.5, 0.0, 0.5, 1.0)


def around(mean: float, spread: tuple[float, ...] = TIGHT) -> list[float]:
    return [mean + one for one in spread]


def verdict(rule: str, *means: float, base: float = 1.0, spread: tuple[float, ...] = TIGHT) -> str:
    groups = {(mean,): around(mean, spread) for mean in means}
    return decide(rule, groups, around(base, spread), 0.2).verdict


@pytest.mark.parametrize(
    ("rule", "holds", "lost", "open_"),
    [
        ("comparable", 1.1, 1.5, 1.2),
        ("comparable", 0.9, 0.5, 0.8),
        ("fails", 0.1, 0.5, 0.25),
        ("not worse", 0.9, 0.7, 0.8),
        ("not worse", 3.0, 0.7, 0.8),
        ("faster", 1.3, 0.9, None),
    ],
)
def test_one_group_beside_its_base(rule: str, holds: float, lost: float, open_: float | None) -> None:
    assert verdict(rule, holds) == HOLDS
    assert verdict(rule, lost) == CONTRARY
    assert open_ is None or verdict(rule, open_) == UNDECIDED
    assert verdict(rule, holds, spread=WIDE) in (UNDECIDED, HOLDS if holds == 3.0 else UNDECIDED)


def test_a_hyperparameter() -> None:
    assert verdict("sensitive", 1.0, 1.1, 1.5) == HOLDS
    assert verdict("sensitive", 1.0, 1.05, 1.1) == CONTRARY
    assert verdict("sensitive", 1.0, 1.05, 1.2) == UNDECIDED  # certainly different, but by the margin only
    assert verdict("sensitive", 1.0, 1.05, 2.0, spread=WIDE) == UNDECIDED
    assert verdict("insensitive", 0.95, 1.05) == HOLDS
    assert verdict("insensitive", 0.95, 1.5) == CONTRARY
    assert verdict("insensitive", 1.01, 1.195) == UNDECIDED
    assert verdict("insensitive", 0.95, 1.05, spread=WIDE) == UNDECIDED


def test_the_correction_is_over_all_pairs() -> None:
    """Best against worst alone has p = 0.032; among three pairs that decides nothing."""
    groups = {("a",): around(1.0, WIDE), ("b",): around(2.3, WIDE)}
    assert decide("sensitive", groups, [], 0.2).verdict == HOLDS
    assert decide("sensitive", groups | {("c",): around(1.6, WIDE)}, [], 0.2).verdict == UNDECIDED


@pytest.mark.parametrize("rule", rules.RULES)
def test_too_few_runs_decide_nothing(rule: str) -> None:
    groups = {("a",): around(5.0), ("b",): [0.0, 0.1, 0.2, 0.3]}
    assert decide(rule, groups, around(1.0), 0.2).verdict == UNDECIDED
    assert decide(rule, {}, around(1.0), 0.2) == rules.Finding(rules.MISSING, words="no runs yet")
    if rule not in rules.BASELESS:
        assert decide(rule, {("a",): around(5.0), ("b",): around(0.0)}, [1.0] * 4, 0.2).verdict == UNDECIDED


def test_the_group_that_decided_is_the_one_shown() -> None:
    groups = {("wide",): around(1.9, (-2.0, -1.0, 0.0, 1.0, 2.0)), ("tight",): around(1.5)}
    found = decide("comparable", groups, around(1.0), 0.2)
    assert (found.verdict, found.words) == (CONTRARY, "tight")
    apart = {("much better",): around(1.5), ("nearly worse",): around(0.9)}
    found = decide("not worse", apart, around(1.0), 0.2)
    assert (found.verdict, found.words) == (HOLDS, "nearly worse")  # not the one that is farthest away
    better = {("some",): around(1.1), ("open",): around(1.0, WIDE)}
    assert decide("faster", better, around(1.0), 0.2).verdict == UNDECIDED  # what holds for one is not lost by another


@pytest.mark.parametrize("rule", rules.RULES)
def test_equal_groups_and_scores_that_are_no_numbers(rule: str) -> None:
    equal = {("a",): [1.0] * 5, ("b",): [1.0] * 5}
    assert decide(rule, equal, [1.0] * 5, 0.2).verdict == (
        HOLDS if rule in ("comparable", "not worse", "insensitive") else CONTRARY
    )
    for broken in (math.nan, math.inf):
        groups = {("a",): [1.0] * 5, ("b",): [1.0] * 4 + [broken]}
        assert decide(rule, groups, [1.0] * 5, 0.2).words == "a score is not a number"


@given(st.integers(0, 10_000), st.floats(0.01, 1), st.floats(-1, 1))
def test_what_holds_and_its_contrary_exclude_each_other(seed: int, spread: float, shift: float) -> None:
    """Equal means are never called different, and a wider margin loses no claim of likeness."""
    rng = np.random.default_rng(seed)
    base, other = 1 + spread * rng.normal(size=(2, 8))
    groups = {("x",): (other + shift).tolist()}
    found = {margin: decide("comparable", groups, base.tolist(), margin) for margin in (0.1, 0.2, 0.4)}
    if found[0.1].verdict == HOLDS:
        assert found[0.2].verdict == found[0.4].verdict == HOLDS
    if found[0.4].verdict == CONTRARY:
        assert found[0.2].verdict == found[0.1].verdict == CONTRARY
    likeness, sensitivity = found[0.2].verdict, decide("sensitive", groups | {("y",): base.tolist()}, [], 0.2).verdict
    assert not (likeness == HOLDS and sensitivity == HOLDS)
    assert (sensitivity == CONTRARY) == (likeness == HOLDS)
    assert math.isclose(found[0.2].value, float(np.mean(other + shift) - np.mean(base)), abs_tol=1e-9)
