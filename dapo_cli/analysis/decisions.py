"""Registered claims beside the runs on record: what each environment says, and what all of them together do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis import comparability, labels, measures, references, rules, scoring
from dapo_cli.analysis.references import References
from dapo_cli.analysis.registered import Claim
from dapo_cli.analysis.rules import Finding
from dapo_cli.analysis.selection import Choice, Record, differing, select
from dapo_cli.errors import BadInput

if TYPE_CHECKING:
    from store.session import Database

SUPPORTED, LOST, OPEN, NOTHING = "supported", "not supported", "undecided at this budget", "no runs yet"


@dataclass(frozen=True)
class Evidence:
    """What one environment says of a claim. `runs` and `base`: how many runs there are, of each group the fewest."""

    env: str
    runs: int
    base: int
    finding: Finding


@dataclass(frozen=True)
class Decision:
    """A claim and what every environment for which it was registered says."""

    claim: Claim
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> str:
        """Supported if it holds in every environment that was tried, not supported if the contrary holds in one."""
        verdicts = {one.finding.verdict for one in self.tried}
        if not verdicts:
            return NOTHING
        if rules.CONTRARY in verdicts:
            return LOST
        return SUPPORTED if verdicts == {rules.HOLDS} else OPEN

    @property
    def tried(self) -> tuple[Evidence, ...]:
        """The environments that have runs to decide by."""
        return tuple(one for one in self.evidence if one.finding.verdict != rules.MISSING)

    @property
    def interim(self) -> bool:
        """Whether runs are missing that were registered."""
        wanted = self.claim.seeds
        based = self.claim.rule not in rules.BASELESS
        return any(one.runs < wanted or (based and one.base < wanted) for one in self.evidence)

    def records(self) -> Iterator[dict[str, Any]]:
        """An object for each environment."""
        for one in self.evidence:
            yield {
                "claim": self.claim.name,
                "text": self.claim.text,
                "rule": self.claim.rule,
                "verdict": self.verdict,
                "interim": self.interim,
                "env": one.env,
                "n": one.runs,
                "n_base": one.base,
                "registered": self.claim.seeds,
                **{"finding" if name == "verdict" else name: part for name, part in one.finding._asdict().items()},
            }


def decide(database: Database, claim: Claim) -> Decision:
    """What the runs on record say; raises BadInput where the runs of a group, or the two sides, are not alike."""
    return Decision(claim, tuple(_evidence(database, claim, env) for env in claim.envs))


def _evidence(database: Database, claim: Claim, env: str) -> Evidence:
    measure = measures.parse(claim.measure)
    sides: dict[str, tuple[list[Record], Mapping[str, float]]] = {}
    missing = ""
    for name in ("runs", "base", "scale"):
        text = getattr(claim, name)
        sides[name] = ([], {})
        if text:
            where = f"env = '{env}' and ({claim.filter_of(text)})"
            try:
                chosen = select(database, Choice(where=where))
            except BadInput as error:  # a setting that only runs have that were not made yet
                missing = str(error)
                continue
            scored = scoring.score(database, chosen, measure, references.read(None), None)
            sides[name] = (list(scored.selection.runs), scored.scores)
    (runs, scores), (base, base_scores), (scale, scale_scores) = sides.values()
    groups = labels.group(runs, claim.over or ("algo",))
    for one in (*groups.values(), base, scale):
        _check_alike(claim, env, one)
    comparability.check([*runs, *base], measure, claim.over)
    known = _scale(env, [scale_scores[run["id"]] for run in scale])
    found = rules.decide(
        claim.rule,
        {label: [known.normalised(scores[run["id"]], env) for run in own] for label, own in groups.items()},
        [known.normalised(base_scores[run["id"]], env) for run in base],
        claim.margin,
    )
    if missing and found.verdict == rules.MISSING:
        found = found._replace(words=missing)
    return Evidence(env, min(map(len, groups.values()), default=0), len(base), found)


def _scale(env: str, scores: list[float]) -> References:
    """A random policy is 0, the mean of these scores 1."""
    random = references.read(None).random
    return References(random, {env: math.fsum(scores) / len(scores)} if scores else {})


def _check_alike(claim: Claim, env: str, runs: list[Record]) -> None:
    """Raise BadInput where runs differ that are taken for seeds of one configuration."""
    apart = differing(runs) - set(claim.over)
    if apart:
        raise BadInput(
            f"claim {claim.name}: runs on {env} that should be seeds of one configuration differ in "
            f"{', '.join(sorted(apart))}: narrow the filters, or name it with over"
        )
    seeds = [run["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"claim {claim.name}: a seed occurs twice among its runs on {env}: narrow the filters")
