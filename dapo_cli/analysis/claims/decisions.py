"""Registered claims beside the runs on record: what each environment says, and what all of them together do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.claims import rules
from dapo_cli.analysis.claims.claims_file import Claim
from dapo_cli.analysis.claims.rules import Finding
from dapo_cli.analysis.comparison import scoring
from dapo_cli.analysis.comparison.references import References
from dapo_cli.analysis.selection import comparability, grouping, labels, measures
from dapo_cli.analysis.selection.selected import Choice, Record, count_text, select
from dapo_cli.errors import BadInput
from dapo_cli.filters.sql import UnknownField
from dapo_cli.statistics.differences import MIN_DECIDED

if TYPE_CHECKING:
    from store.session import Database

SUPPORTED, LOST, OPEN = "supported", "not supported", "undecided at this budget"
NOTHING, WAITING = "no runs yet", "runs are missing"  # there is no verdict


@dataclass(frozen=True)
class Evidence:
    """What one environment says of a claim: how many groups have runs, the fewest runs of a group, and those beside it.

    `remarks`: what a reader should know of these runs.
    """

    env: str
    groups: int
    runs: int
    base: int
    scale: int
    finding: Finding
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """A claim and what every environment for which it was registered says."""

    claim: Claim
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> str:
        """Supported if it holds in every environment that was tried, not supported if the contrary holds in one."""
        verdicts = {one.finding.verdict for one in self.evidence} - {rules.MISSING}
        if not verdicts:
            return WAITING if any(one.runs or one.base for one in self.evidence) else NOTHING
        if rules.CONTRARY in verdicts:
            return LOST
        return SUPPORTED if verdicts == {rules.HOLDS} else OPEN

    @property
    def interim(self) -> bool:
        """Whether runs are missing that were registered: seeds, whole groups, whole environments."""
        claim = self.claim
        return any(
            one.groups < claim.groups
            or min(one.runs, one.scale) < claim.seeds
            or (claim.rule not in rules.BASELESS and one.base < claim.seeds)
            for one in self.evidence
        )

    def records(self) -> Iterator[dict[str, Any]]:
        """An object for each environment."""
        for one in self.evidence:
            found = one.finding._asdict()
            yield {
                "claim": self.claim.name,
                "text": self.claim.text,
                "rule": self.claim.rule,
                "measure": self.claim.measure,
                "verdict": self.verdict,
                "interim": self.interim,
                "env": one.env,
                "groups": one.groups,
                "n": one.runs,
                "n_base": one.base,
                "n_scale": one.scale,
                "registered": self.claim.seeds,
                "finding": found.pop("verdict"),
                **found,
                "remarks": one.remarks,
            }


@dataclass(frozen=True)
class _Side:
    runs: Sequence[Record] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def decide(database: Database, claim: Claim, returns: References) -> Decision:
    """What the runs on record say, random policies having these returns.

    Raises BadInput where the runs of a group, or the sides, are not alike.
    """
    try:
        return Decision(claim, tuple(_evidence(database, claim, env, returns) for env in claim.envs))
    except BadInput as error:
        raise BadInput(f"claim {claim.name}: {error}") from error


def _evidence(database: Database, claim: Claim, env: str, returns: References) -> Evidence:
    measure = measures.parse(claim.measure)
    unknown: list[UnknownField] = []
    runs, base, scale = (
        _side(database, claim.filter_of(text, env), measure, returns, unknown) if text else _Side()
        for text in (claim.runs, claim.base, claim.scale)
    )
    for key in claim.over:
        if runs.runs and not any(key in run for run in runs.runs):
            raise BadInput(f"over: no run has a setting '{key}'")
    groups = labels.group(runs.runs, claim.over)
    for alike in (*groups.values(), base.runs, scale.runs):
        _check_alike(env, alike)
    everything = {run["id"]: run for run in (*runs.runs, *base.runs, *scale.runs)}
    remarks = comparability.check([*everything.values()], measure, claim.over, allow=comparability.REFUSED)
    if remarks.general:
        raise BadInput(f"{remarks.general[0]}: narrow the filters")
    counts = Counter(text for id_ in everything for text in remarks.of_runs.get(id_, ()))
    counts["diverged, as a random policy"] = sum(run["status"] == "diverged" for run in everything.values())
    executed = (
        text for alike in (*groups.values(), base.runs, scale.runs) for text in grouping.execution_remarks(alike)
    )
    said = dict.fromkeys((*runs.notes, *base.notes, *scale.notes, count_text(+counts), *executed))
    if unknown and not (runs.runs and (base.runs or not claim.base)):
        found = Finding(rules.MISSING, words=_waiting(unknown[0]))
    else:
        found = _found(claim, env, groups, runs, base, scale, returns)
    fewest = min(map(len, groups.values()), default=0)
    return Evidence(env, len(groups), fewest, len(base.runs), len(scale.runs), found, tuple(filter(None, said)))


def _side(
    database: Database, where: str, measure: measures.Measure, returns: References, unknown: list[UnknownField]
) -> _Side:
    try:
        chosen = grouping.unique(database, select(database, Choice(where=where)))
    except UnknownField as error:  # a setting that only runs have that were not made yet
        unknown.append(error)
        return _Side()
    scored = scoring.score(database, chosen, measure, returns, None)
    return _Side(scored.selection.runs, scored.scores, (*scored.selection.notes(), *scored.notes))


def _found(
    claim: Claim,
    env: str,
    groups: Mapping[labels.Label, Sequence[Record]],
    runs: _Side,
    base: _Side,
    scale: _Side,
    returns: References,
) -> Finding:
    random = returns.random
    if env not in random:
        raise BadInput(
            f"nobody told the return of a random policy on {env}, from which it is measured: "
            f"name it in a file, --references FILE.toml"
        )
    if groups and not scale.runs:
        return Finding(rules.MISSING, words="no runs of the scale yet")
    one = math.fsum(scale.scores[run["id"]] for run in scale.runs) / max(1, len(scale.runs))
    if groups and not one > random[env]:
        return Finding(rules.UNDECIDED, words="the scale's runs learned nothing beyond a random policy")
    known = References(random, {env: one})
    found = rules.decide(
        claim.rule,
        {
            (", ".join(map(labels.label_text, claim.over, label)),): [
                known.normalised(runs.scores[run["id"]], env) for run in own
            ]
            for label, own in groups.items()
        },
        [known.normalised(base.scores[run["id"]], env) for run in base.runs],
        claim.margin,
    )
    if found.verdict != rules.MISSING and len(scale.runs) < MIN_DECIDED:
        return Finding(rules.UNDECIDED, words=f"fewer than {MIN_DECIDED} runs of the scale")
    return found


def _waiting(error: UnknownField) -> str:
    likely = f": {error.remedy}" if error.remedy.startswith("did you mean") else ""
    return f"no run has a field '{error.field}' yet{likely}"


def _check_alike(env: str, runs: Sequence[Record]) -> None:
    """Raise BadInput where runs differ that are taken for seeds of one configuration."""
    if apart := grouping.differing(runs):
        raise BadInput(
            f"runs on {env} that should be seeds of one configuration differ in {', '.join(sorted(apart))}: "
            f"narrow the filters, or name it with over"
        )
