"""Which runs must not be compared with each other: a stated rule.

Runs on one environment are *refused* where they differ in what decides how high a return can be, and *footnoted* where
a reader should know of it. What is a key of the table is shown, and so is no hidden difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.analysis.selection.measures import Measure
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.errors import BadInput

REFUSED = {
    "steps": "step budget",
    "version": "version of the environment",
    "physics": "version of MuJoCo",
    "evaluation": "evaluation protocol",
}
"""What `--allow` takes, and what it stands for."""


class Remarks(NamedTuple):
    """`of_runs`: run id -> what its cell must say; `general`: what holds for the whole comparison."""

    of_runs: Mapping[str, list[str]]
    general: list[str]


def check(
    runs: Sequence[Record], measure: Measure, keys: Iterable[str], *, allow: Iterable[str] = (), strict: bool = False
) -> Remarks:
    """What a reader must know of these runs side by side; `keys` are those of the table.

    Raises BadInput for a difference that is refused and not in `allow`; with `strict`, also for one that is.
    """
    allow, keys = set(allow), set(keys)
    general = []
    for name, env, values in _differences(runs, measure, keys):
        what = f"runs on {env} differ in {REFUSED[name]} ({_listed(values)})"
        if strict or name not in allow:
            more = "" if strict else f", or compare them all the same with --allow {name}"
            raise BadInput(f"{what}: choose with --where{more}")
        general.append(what)
    of_runs = {run["id"]: remarks for run in runs if (remarks := _remarks(run))}
    return Remarks(of_runs, general)


def _differences(
    runs: Sequence[Record], measure: Measure, keys: set[str]
) -> Iterable[tuple[str, str, Mapping[str, int]]]:
    """(what, where, value -> number of runs) of every difference that is refused."""
    by_env: dict[str, list[Record]] = {}
    for run in runs:
        by_env.setdefault(run["env"], []).append(run)
    for env, own in sorted(by_env.items()):
        for name, property_ in (("steps", _budget), ("physics", _physics), ("evaluation", _protocol)):
            if (name == "evaluation" and not measure.evaluates) or keys & _SHOWN.get(name, set()):
                continue
            values = Counter(value for run in own if (value := property_(run)) is not None)
            if len(values) > 1:
                yield name, env, values
    if "env" not in keys:
        families: dict[str, Counter[str]] = {}
        for env, own in by_env.items():
            families.setdefault(re.sub(r"-v\d+$", "", env), Counter())[env] += len(own)
        for family, versions in sorted(families.items()):
            if len(versions) > 1:
                yield "version", family, versions


_SHOWN = {"steps": {"steps"}, "evaluation": {"eval_every", "eval_episodes"}}


def _budget(run: Record) -> str | None:
    return f"{run['steps']} steps"


def _physics(run: Record) -> str | None:
    version = (run.get("versions") or {}).get("mujoco")
    return f"MuJoCo {version}" if version else None


def _protocol(run: Record) -> str | None:
    every, episodes = run.get("eval_every"), run.get("eval_episodes")
    return None if every is None else f"{episodes} episodes every {every} steps"


def _remarks(run: Record) -> list[str]:
    """What the cell of this run must say."""
    remarks = []
    if run.get("source"):
        remarks.append(f"imported from {run['source']}")
    if run.get("dirty"):
        remarks.append("of uncommitted code")
    if run.get("exactness") == "approximate":
        remarks.append("resumed approximately")
    if run["status"] not in ("completed", "diverged"):
        remarks.append(f"{run['status']} at step {run['step']}")
    return remarks


def _listed(values: Mapping[Any, int]) -> str:
    return ", ".join(f"{value}: {count} {'run' if count == 1 else 'runs'}" for value, count in sorted(values.items()))
