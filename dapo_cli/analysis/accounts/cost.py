"""What runs cost: core hours and GPU hours, failed and tuning runs included, and the sentence that a paper owes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dapo_cli.analysis.selection.selected import Record, count_text
from dapo_cli.terminal.formatting import number_text
from store.records.accounting import Inherited
from store.records.marks import KINDS
from store.schema.models import STATUSES

_NOTHING = Inherited(0, 0.0)


class Cost(NamedTuple):
    """What some runs took together. `steps`: of the environment; hours: of training, evaluations included."""

    runs: int
    steps: int
    core_hours: float  # wall time × threads
    gpu_hours: float  # wall time of runs on a GPU


class Bill(NamedTuple):
    """`rows`: (algorithm, kind, status) -> cost, sorted; `sentence`: for a paper; `notes`: what may be missing."""

    rows: Mapping[tuple[str, str, str], Cost]
    total: Cost
    processors: Mapping[str, int]  # name -> runs
    sentence: str
    notes: list[str]


def bill(runs: Sequence[Record], inherited: Mapping[str, Inherited]) -> Bill:
    """The cost of these runs; what a run inherited (`store.records.accounting.inherited`) is not its own."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for run in runs:
        groups.setdefault((run["algo"], run["kind"], run["status"]), []).append(run)
    rows = {key: cost(groups[key], inherited) for key in sorted(groups, key=_order)}
    processors = Counter(run["processor"] for run in runs if run["processor"])
    return Bill(
        rows,
        cost(runs, inherited),
        dict(processors.most_common()),
        _sentence(runs, inherited, processors),
        _notes(runs),
    )


def cost(runs: Sequence[Record], inherited: Mapping[str, Inherited]) -> Cost:
    """What these runs took together, each counted for what it did itself."""
    steps, cores, gpus = 0, 0.0, 0.0
    for run in runs:
        taken_over = inherited.get(run["id"], _NOTHING)
        # Seeds that were trained together share the time that they took together.
        hours = (run["wall_time"] - taken_over.wall_time) / 3600 / (run["group_size"] or 1)
        steps += run["step"] - taken_over.step
        cores += hours * (run["threads"] or 1)
        gpus += hours if (run["device"] or "").startswith("cuda") else 0.0
    return Cost(len(runs), steps, cores, gpus)


def _order(key: tuple[str, str, str]) -> tuple[str, list[bool], int]:
    algo, kind, status = key
    return algo, [kind != known for known in KINDS], STATUSES.index(status)


def _sentence(runs: Sequence[Record], inherited: Mapping[str, Inherited], processors: Counter[str]) -> str:
    """`Training took 12.3 core hours on AMD EPYC in 40 runs, of which 2.1 core hours for tuning (8 runs) and …`."""
    tuning = [run for run in runs if run["kind"] == "tuning"]
    lost = [run for run in runs if run["kind"] != "tuning" and run["status"] != "completed"]
    total = cost(runs, inherited)
    states = count_text(Counter(run["status"] for run in lost))
    shares = [
        (tuning, "tuning", _runs(tuning)),
        (lost, "other runs that did not complete" if tuning else "runs that did not complete", states),
    ]
    of_which = [
        f"{_hours(cost(part, inherited), total)} for {what} ({detail})" for part, what, detail in shares if part
    ]
    none = [f"none for {what}" for part, what, _ in shares if not part]
    names = [name if len(processors) == 1 else f"{name} ({_count(n)})" for name, n in processors.most_common()]
    where = f" on {' and '.join(names)}" if names else ""
    return f"Training took {_hours(total, total)}{where} in {_runs(runs)}, of which {' and '.join(of_which + none)}."


def _notes(runs: Sequence[Record]) -> list[str]:
    notes = []
    if untimed := [run for run in runs if run["step"] and not run["wall_time"]]:
        notes.append(f"{_runs(untimed)} without a wall time on record: what that took is missing")
    if unknown := [run for run in runs if run["wall_time"] and not run["threads"]]:
        notes.append(f"{_runs(unknown)} without a number of threads on record: counted as one")
    if running := [run for run in runs if run["status"] == "running"]:
        notes.append(f"{_runs(running)} still training: the figures will grow")
    return notes


def _hours(spent: Cost, total: Cost) -> str:
    gpus = f" and {number_text(spent.gpu_hours, total.gpu_hours)} GPU hours" if total.gpu_hours else ""
    return f"{number_text(spent.core_hours, total.core_hours)} core hours{gpus}"


def _runs(runs: Sequence[Record]) -> str:
    return _count(len(runs))


def _count(n: int) -> str:
    return f"{n} {'run' if n == 1 else 'runs'}"
