"""The decision rules of registered claims: what intervals allow one to say, with a margin fixed beforehand.

Scores are normalised: 0 is a uniformly random policy, 1 the mean of the runs that are the scale; a margin of 0.2 is
20 % of what these learned. Each rule has a contrary rule, so that a claim can be lost and not only missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from dapo_cli.analysis.comparison.testing import EQUIVALENCE, SIGNIFICANCE
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.statistics.differences import MIN_DECIDED, Difference, difference, equivalent, holm
from dapo_cli.statistics.estimates import CONFIDENCE, estimate

Scores = Sequence[float]
Groups = Mapping[Label, Scores]

HOLDS, CONTRARY, UNDECIDED, MISSING = "holds", "contrary", "undecided", "missing"
FAILING = 0.25  # of the scale: what stays below has not learned anything to speak of


class Finding(NamedTuple):
    """What a rule found in one environment: the number it looked at, its interval, and of what confidence that is."""

    verdict: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    confidence: float = CONFIDENCE
    words: str = ""


def _comparable(scores: Scores, base: Scores, margin: float) -> Finding:
    """The 90 % interval of the difference from the base lies within ±margin; contrary: outside."""
    found = _difference(scores, base, EQUIVALENCE)
    verdict = {"equivalent": HOLDS, "different": CONTRARY}.get(equivalent(found, margin), UNDECIDED)
    return _finding(verdict, found, EQUIVALENCE)


def _not_worse(scores: Scores, base: Scores, margin: float) -> Finding:
    """The 95 % interval of the difference from the base lies above -margin; contrary: below."""
    found = _difference(scores, base, CONFIDENCE)
    return _finding(HOLDS if found.low > -margin else CONTRARY if found.high < -margin else UNDECIDED, found)


def _faster(scores: Scores, base: Scores, margin: float) -> Finding:
    """The 95 % interval of the difference from the base lies above 0; contrary: it does not, and lies below +margin."""
    found = _difference(scores, base, CONFIDENCE)
    return _finding(HOLDS if found.low > 0 else CONTRARY if found.high < margin else UNDECIDED, found)


def _fails(scores: Scores, base: Scores, margin: float) -> Finding:  # noqa: ARG001
    """The 95 % interval of the mean lies below FAILING; contrary: above."""
    found = estimate(list(scores))
    verdict = HOLDS if found.high < FAILING else CONTRARY if found.low > FAILING else UNDECIDED
    return Finding(verdict, found.value, found.low, found.high)


def _sensitive(groups: Groups, base: Scores, margin: float) -> Finding:  # noqa: ARG001
    """The best group is better than the worst by over the margin, at 5 % after Holm's correction over all pairs.

    Contrary: every group is comparable to the best. The interval is that of the difference, not corrected.
    """
    means = {label: math.fsum(scores) / len(scores) for label, scores in groups.items()}
    best, *_, worst = sorted(means, key=means.__getitem__, reverse=True)
    pairs = list(combinations(groups, 2))
    ps = holm([_difference(groups[a], groups[b], CONFIDENCE).p for a, b in pairs])
    p = next(p for pair, p in zip(pairs, ps, strict=True) if set(pair) == {best, worst})
    gap = _difference(groups[best], groups[worst], CONFIDENCE)
    alike = all(_comparable(groups[label], groups[best], margin).verdict == HOLDS for label in groups if label != best)
    verdict = HOLDS if gap.value > margin and p < SIGNIFICANCE else CONTRARY if alike else UNDECIDED
    return _finding(verdict, gap)._replace(words=f"{_name(best)} over {_name(worst)}, p = {p:.2g}")


def _insensitive(groups: Groups, base: Scores, margin: float) -> Finding:
    """Every group is comparable to the base; contrary: with the base among them they are sensitive."""
    apart = _sensitive({**groups, ("the base",): base}, base, margin)
    if apart.verdict == HOLDS:
        return apart._replace(verdict=CONTRARY)
    found = RULES["comparable"](groups, base, margin)
    return found if found.verdict == HOLDS else found._replace(verdict=UNDECIDED)


def _each(
    rule: Callable[[Scores, Scores, float], Finding], reach: Callable[[Finding], float]
) -> Callable[[Groups, Scores, float], Finding]:
    """The rule for all groups: it holds if it holds for each; its contrary, if that holds for one.

    The finding is that of a group that decides, and of these of the one with the largest `reach`: the end of the
    interval that has to stay within the rule's limit.
    """

    def decide_all(groups: Groups, base: Scores, margin: float) -> Finding:
        found = {label: rule(scores, base, margin) for label, scores in groups.items()}
        verdicts = {one.verdict for one in found.values()}
        verdict = next(one for one in (CONTRARY, UNDECIDED, HOLDS) if one in verdicts)
        deciding = [label for label, one in found.items() if one.verdict == verdict]
        label = max(deciding, key=lambda label: reach(found[label]))
        return found[label]._replace(words=_name(label) if len(found) > 1 else "")

    return decide_all


RULES: dict[str, Callable[[Groups, Scores, float], Finding]] = {
    "comparable": _each(_comparable, lambda found: max(-found.low, found.high)),
    "not worse": _each(_not_worse, lambda found: -found.low),
    "faster": _each(_faster, lambda found: -found.low),
    "fails": _each(_fails, lambda found: found.high),
    "sensitive": _sensitive,
    "insensitive": _insensitive,
}
GROUPED = {"sensitive", "insensitive"}  # are about several groups
BASELESS = {"sensitive", "fails"}  # need no base


def decide(rule: str, groups: Groups, base: Scores, margin: float) -> Finding:
    """What the rule of this name finds; undecided with fewer than MIN_DECIDED runs in a group or in the base.

    `base` is not looked at by a rule that needs none.
    """
    sides = [*groups.values(), *([] if rule in BASELESS else [base])]
    if not groups:
        return Finding(MISSING, words="no runs yet")
    if not all(sides):
        return Finding(MISSING, words="no runs of the base yet")
    if rule == "sensitive" and len(groups) < 2:
        return Finding(MISSING, words="runs of one group only")
    if min(map(len, sides)) < MIN_DECIDED:
        return Finding(UNDECIDED, words=f"fewer than {MIN_DECIDED} runs on a side")
    if not all(math.isfinite(score) for scores in sides for score in scores):
        return Finding(UNDECIDED, words="a score is not a number")
    return RULES[rule](groups, base, margin)


def _finding(verdict: str, found: Difference, confidence: float = CONFIDENCE) -> Finding:
    return Finding(verdict, found.value, found.low, found.high, confidence)


def _difference(scores: Scores, base: Scores, confidence: float) -> Difference:
    return difference([list(scores)], [list(base)], confidence=confidence)


def _name(label: Label) -> str:
    return ", ".join(map(key_text, label))
