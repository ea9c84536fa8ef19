"""The decision rules of registered claims: what intervals allow one to say, with a margin fixed beforehand.

Scores are normalised: 0 is a uniformly random policy, 1 the mean of the runs that are the scale; a margin of 0.2 is
20 % of what these learned. Each rule has a contrary rule, so that a claim can be lost and not only missed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from dapo_cli.analysis.claims import EQUIVALENCE, SIGNIFICANCE
from dapo_cli.analysis.differences import MIN_DECIDED, Difference, difference, holm
from dapo_cli.analysis.labels import Label, key_text
from dapo_cli.analysis.statistics import estimate

Scores = Sequence[float]
Groups = Mapping[Label, Scores]

HOLDS, CONTRARY, UNDECIDED, MISSING = "holds", "contrary", "undecided", "missing"
FAILING = 0.25  # of the scale: what stays below has not learned anything to speak of
TWO_SIDED = 0.95


class Finding(NamedTuple):
    """What a rule found in one environment: the number it looked at, its interval, and of what confidence that is."""

    verdict: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    confidence: float = TWO_SIDED
    words: str = ""


def comparable(groups: Groups, base: Scores, margin: float) -> Finding:
    """Every group's 90 % interval of the difference from `base` lies within ±margin; contrary: one lies outside.

    The finding is the group's that is farthest from the base.
    """
    found = [(label, _difference(scores, base, EQUIVALENCE)) for label, scores in groups.items()]
    label, worst = max(found, key=lambda one: abs(one[1].value))
    inside = all(-margin < one.low and one.high < margin for _, one in found)
    outside = any(one.low > margin or one.high < -margin for _, one in found)
    return _finding(inside, outside, worst, EQUIVALENCE, _name(label) if len(found) > 1 else "")


def fails(groups: Groups, base: Scores, margin: float) -> Finding:  # noqa: ARG001
    """The upper bound of the 95 % interval of every group's mean lies below FAILING; contrary: a lower bound above."""
    found = [(label, estimate(list(scores))) for label, scores in groups.items()]
    label, best = max(found, key=lambda one: one[1].value)
    below, above = (all(one.high < FAILING for _, one in found), any(one.low > FAILING for _, one in found))
    return Finding(
        HOLDS if below else CONTRARY if above else UNDECIDED,
        best.value,
        best.low,
        best.high,
        words=_name(label) if len(found) > 1 else "",
    )


def not_worse(groups: Groups, base: Scores, margin: float) -> Finding:
    """The 95 % interval of the difference from `base` lies above -margin; contrary: below it."""
    return _against(groups, base, above=-margin, below=-margin)


def faster(groups: Groups, base: Scores, margin: float) -> Finding:
    """The 95 % interval of the difference from `base` lies above 0; contrary: below +margin."""
    return _against(groups, base, above=0.0, below=margin)


def sensitive(groups: Groups, base: Scores, margin: float) -> Finding:  # noqa: ARG001
    """The best group is better than the worst by over the margin, at 5 % after Holm's correction over all pairs.

    Contrary: the 90 % interval of every group's difference from the best lies within ±margin.
    """
    means = {label: math.fsum(scores) / len(scores) for label, scores in groups.items()}
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    pairs = list(combinations(groups, 2))
    ps = dict(zip(pairs, holm([_difference(groups[a], groups[b], TWO_SIDED).p for a, b in pairs]), strict=True))
    p = ps[(best, worst)] if (best, worst) in ps else ps[(worst, best)]
    gap = _difference(groups[best], groups[worst], TWO_SIDED)
    others = {label: scores for label, scores in groups.items() if label != best}
    alike = comparable(others, groups[best], margin).verdict == HOLDS
    words = f"{_name(best)} over {_name(worst)}, p = {p:.2g}"
    return _finding(gap.value > margin and p < SIGNIFICANCE, alike, gap, TWO_SIDED, words)


def insensitive(groups: Groups, base: Scores, margin: float) -> Finding:
    """Every group is `comparable` to the base; contrary: with the base among them they are `sensitive`."""
    found = comparable(groups, base, margin)
    apart = sensitive({**groups, ("base",): base}, base, margin)
    if apart.verdict == HOLDS:
        return apart._replace(verdict=CONTRARY)
    return found._replace(verdict=HOLDS if found.verdict == HOLDS else UNDECIDED)


RULES = {
    "comparable": comparable,
    "fails": fails,
    "not worse": not_worse,
    "faster": faster,
    "sensitive": sensitive,
    "insensitive": insensitive,
}
GROUPED = {"sensitive"}  # need at least two groups
BASELESS = {"sensitive", "fails"}  # need no base


def decide(rule: str, groups: Groups, base: Scores, margin: float) -> Finding:
    """What the rule of this name finds; undecided with fewer than MIN_DECIDED runs in a group or in the base."""
    based = rule not in BASELESS
    if not groups or (based and not base):
        return Finding(MISSING, words="no runs yet" if not groups else "no runs of the base yet")
    if rule in GROUPED and len(groups) < 2:
        return Finding(MISSING, words="runs of one group only")
    if min([*map(len, groups.values()), *([len(base)] if based else [])]) < MIN_DECIDED:
        return Finding(UNDECIDED, words=f"fewer than {MIN_DECIDED} runs on a side")
    return RULES[rule](groups, base, margin)


def _against(groups: Groups, base: Scores, *, above: float, below: float) -> Finding:
    found = [(label, _difference(scores, base, TWO_SIDED)) for label, scores in groups.items()]
    label, least = min(found, key=lambda one: one[1].value)
    return _finding(
        all(one.low > above for _, one in found),
        any(one.high < below for _, one in found),
        least,
        TWO_SIDED,
        _name(label) if len(found) > 1 else "",
    )


def _finding(holds: bool, contrary: bool, found: Difference, confidence: float, words: str) -> Finding:
    verdict = HOLDS if holds else CONTRARY if contrary else UNDECIDED
    return Finding(verdict, found.value, found.low, found.high, confidence, words)


def _difference(scores: Scores, base: Scores, confidence: float) -> Difference:
    return difference([list(scores)], [list(base)], confidence=confidence)


def _name(label: Label) -> str:
    return ", ".join(map(key_text, label))
