"""How often each theorem holds on random MDPs, how tight it is, and whether a broken one is noticed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from algorithms.core.mirror_maps import mirror_map
from algorithms.tabular.mdp import MDP, garnet
from dapo_cli.theory.statements import MAPS, NOTE, STATEMENTS, Statement
from dapo_cli.theory.trajectories import Check, checks

SIZES = ((5, 3, 2, 0.7), (10, 4, 3, 0.9), (20, 5, 5, 0.95))  # states, actions, successors, γ
FROM = (1, 10, 50)  # the tightest ratio is that from these iterations on

_NEGLIGIBLE = 1e-6  # a bound below it says more about rounding than about tightness


PARTS = ("exact", "inexact")  # bounds without and with a term for the error of a step
OF_VALUES = ("T2", "T3", "T4", "T5", "T7")  # these bound a gap of values, which is at most 1/(1 - γ)


@dataclass
class Part:
    """The exact or the inexact bounds of a statement."""

    checked: int = 0
    vacuous: int = 0  # bounds above 1/(1 - γ), which say nothing
    ratios: dict[int, float] = field(default_factory=lambda: dict.fromkeys(FROM, -math.inf))


@dataclass
class Tally:
    """One statement for one mirror map."""

    violations: int = 0
    worst: float = 0.0  # measured - bound of the worst violation
    parts: dict[str, Part] = field(default_factory=dict)
    breaches: dict[str, int] = field(default_factory=dict)  # control -> how often its bound was broken

    def add(self, check: Check, rounding: float, gamma: float) -> None:
        """Count one iteration of a batch of MDPs; a bound may be passed by `rounding`. What is no number violates."""
        excess = check.measured - check.bound
        wrong = ~(excess <= rounding)
        if check.control:
            self.breaches[check.control] = self.breaches.get(check.control, 0) + int(wrong.sum())
            return
        part = self.parts.setdefault(PARTS[check.epsilon], Part())
        part.checked += excess.numel()
        if check.statement in OF_VALUES:
            part.vacuous += int((check.bound > 1 / (1 - gamma)).sum())
        if wrong.any():
            self.violations += int(wrong.sum())
            self.worst = max(self.worst, float(excess[wrong].max()))
        telling = check.bound > _NEGLIGIBLE
        if telling.any():
            ratio = float((check.measured / check.bound)[telling].max())
            part.ratios = {first: max(old, ratio) if check.k >= first else old for first, old in part.ratios.items()}


def run(instances: int, seed: int) -> list[dict[str, Any]]:
    """Every statement on so many Garnets of three sizes: objects as `dapo theory --json` prints them."""
    tallies = {(statement.name, name): Tally() for statement in STATEMENTS for name in statement.maps}
    for mdp in samples(instances, seed):
        for name, q in MAPS.items():
            wanted = frozenset(statement.name for statement in STATEMENTS if name in statement.maps)
            for check in checks(mdp, mirror_map(q), wanted):
                if check.statement in wanted:
                    tallies[check.statement, name].add(check, rounding(q, mdp.gamma), mdp.gamma)
    return [_record(statement, instances, tallies) for statement in STATEMENTS]


def report(instances: int, seed: int) -> dict[str, Any]:
    """The whole answer, with what it does not cover."""
    sizes = [dict(zip(("states", "actions", "successors", "gamma"), size, strict=True)) for size in SIZES]
    return {"statements": run(instances, seed), "mdps": sizes, "seed": seed, "note": NOTE}


def holds(statements: Iterable[dict[str, Any]]) -> bool:
    """No violation, and every control caught for every mirror map."""
    return all(not record["violations"] and record["control"]["caught"] for record in statements)


def samples(instances: int, seed: int) -> list[MDP]:
    """`instances` Garnets, as evenly as possible of each size."""
    generator = torch.Generator().manual_seed(seed)
    counts = [len(range(index, instances, len(SIZES))) for index in range(len(SIZES))]
    return [
        garnet(count, states, actions, branching, gamma, generator)
        for count, (states, actions, branching, gamma) in zip(counts, SIZES, strict=True)
        if count
    ]


def rounding(q: float, gamma: float) -> float:
    """What float64 leaves open in a value: the resolution of a probability, times 1 / (1 - γ)².

    The dual vector holds p^(q - 1): for q > 2 a p below ε^(1 / (q - 1)), 1.5e-8 at q = 3, is lost beside 1.
    """
    resolution = torch.finfo(torch.float64).eps ** (1 / max(1.0, q - 1))
    return max(1e-12, 10 * resolution if q > 2 else 0.0) / (1 - gamma) ** 2


def _record(statement: Statement, instances: int, tallies: dict[tuple[str, str], Tally]) -> dict[str, Any]:
    own = {name: tallies[statement.name, name] for name in statement.maps}
    return {
        "name": statement.name,
        "title": statement.title,
        "claim": statement.claim,
        "source": statement.source,
        "instances": instances,
        **_summary(list(own.values())),
        "mirror_maps": [{"name": name, "instances": instances, **_summary([tally])} for name, tally in own.items()],
    }


def _summary(tallies: list[Tally]) -> dict[str, Any]:
    controls = {what: [tally.breaches[what] for tally in tallies] for what in tallies[0].breaches}
    names = [name for name in PARTS if name in tallies[0].parts]
    parts = {name: _part([tally.parts[name] for tally in tallies]) for name in names}
    return {
        "checked": sum(part["checked"] for part in parts.values()),
        "violations": sum(tally.violations for tally in tallies),
        "worst_violation": max(tally.worst for tally in tallies),
        "tightest_ratio": {
            str(first): max(part["tightest_ratio"][str(first)] for part in parts.values()) for first in FROM
        },
        "parts": parts,
        "control": {
            "what": "; ".join(controls),
            "caught": bool(controls) and all(min(breaches) > 0 for breaches in controls.values()),
            "breaches": sum(sum(breaches) for breaches in controls.values()),
            "each": {what: sum(breaches) for what, breaches in controls.items()},
        },
    }


def _part(parts: list[Part]) -> dict[str, Any]:
    checked = sum(part.checked for part in parts)
    return {
        "checked": checked,
        "tightest_ratio": {str(first): max(part.ratios[first] for part in parts) for first in FROM},
        "vacuous": sum(part.vacuous for part in parts) / checked,
    }
