"""Which runs a command is about: one way to say it, and what it leaves out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_

from dapo_cli.errors import BadInput, did_you_mean, naming
from dapo_cli.filters.sql import condition
from store.queue import sweeps
from store.records import runs as store_runs
from store.records import selections, settings
from store.schema.models import Run, Tag
from store.schema.models import Selection as Pinned

if TYPE_CHECKING:
    from store.session import Database

Record = Mapping[str, Any]
"""A run: the columns of `run`, `tags`, its settings by name, and `settings`, their names."""

SEE_RUNS = "see what there is with dapo runs"
EXTENDED = "extended by another"
_KINDS = {"tuning": "for tuning", "train": "for reporting", "theory": "of the theory"}


@dataclass(frozen=True)
class Choice:
    """What the options say that every analysis command has.

    `where` is a filter, `tags` are all wanted, `sweep` and `frozen` name a sweep and a frozen selection. `tuning`: the
    runs marked as tuning in place of those for reporting. `unfinished`: also runs that are not completed.
    """

    where: str | None = None
    tags: tuple[str, ...] = ()
    sweep: str | None = None
    frozen: str | None = None
    tuning: bool = False
    unfinished: bool = False

    def arguments(self) -> list[str]:
        """The options that say it."""
        arguments = ["--where", self.where] if self.where else []
        for tag in self.tags:
            arguments += ["--tag", tag]
        arguments += ["--sweep", self.sweep] if self.sweep else []
        arguments += ["--selection", self.frozen] if self.frozen else []
        return arguments + ["--tuning"] * self.tuning + ["--unfinished"] * self.unfinished


@dataclass(frozen=True)
class Selection:
    """`runs` count; `left_out` do not, each with the reason in `reasons` (run id -> reason)."""

    runs: list[Record]
    left_out: list[Record]
    reasons: Mapping[str, str]

    def notes(self) -> list[str]:
        """`2 runs left out: 1 failed, 1 running`; empty where all counted."""
        if not self.left_out:
            return []
        counts = Counter(self.reasons[run["id"]] for run in self.left_out)
        total = counts.total()
        return [f"{total} {'run' if total == 1 else 'runs'} left out: {count_text(counts)}"]

    def check_keys(self, keys: Iterable[str]) -> None:
        """Raise BadInput for a key that no run has."""
        known = {"tag"}.union(*self.runs, *self.left_out)
        known -= {"tags", "settings"}
        for key in keys:
            if (self.runs or self.left_out) and key not in known:
                raise BadInput(f"no run has a key '{key}': {did_you_mean(key, known)}")

    def without(self, reasons: Mapping[str, str]) -> Selection:
        """The same with these runs left out, too: run id -> reason."""
        out = [run for run in self.runs if run["id"] in reasons]
        kept = [run for run in self.runs if run["id"] not in reasons]
        return Selection(kept, [*self.left_out, *out], {**self.reasons, **reasons})


def without_evaluations(notes: Iterable[str], option: str = "--measure final-train") -> str | None:
    """What to do where no run counts, and some for want of an evaluation, as imports do; None where that is not why.

    `notes` are those of the selection, `option` is what makes the command take training episodes.
    """
    if not any("without an evaluation" in note for note in notes):
        return None
    metric = "--y NAME" if option.startswith("--y") else "--measure last:NAME"
    return f"take their training episodes with {option}, or a metric with {metric}"


def select(database: Database, choice: Choice) -> Selection:
    """The completed and the diverged runs of a choice, oldest first; those in another state only if it says so.

    A run that another one extends is left out: the two are no independent samples. Runs of the theory count where the
    choice holds no others. Raises BadInput for an unknown sweep and for a frozen selection that has lost runs,
    StoreError for one that does not exist.
    """
    found = matching(database, choice)
    kinds = {run["kind"] for run in found}
    wanted = "tuning" if choice.tuning else "theory" if kinds == {"theory"} else "train"
    counted = ("completed", "diverged") + (("running", "interrupted", "failed") if choice.unfinished else ())
    reasons: dict[str, str] = {}
    for run in found:
        if run["kind"] != wanted:
            reasons[run["id"]] = _KINDS.get(run["kind"]) or str(run["kind"])
        elif run["status"] not in counted:
            reasons[run["id"]] = run["status"]
    parents = {str(run["parent"]) for run in found if run["id"] not in reasons}
    for run in found:
        if run["id"] in parents:
            reasons.setdefault(run["id"], EXTENDED)
    return Selection(found, [], {}).without(reasons)


def matching(database: Database, choice: Choice) -> list[Record]:
    """Every run of a choice, whatever its kind and state, oldest first."""
    conditions = list(_conditions(database, choice))
    rows = store_runs.listing(
        database,
        where=and_(*conditions) if conditions else None,
        order_by=[Run.__table__.c.created_at, Run.__table__.c.id],
    )
    values = settings.values(database, [row["id"] for row in rows])
    return [{**values[row["id"]], **row, "settings": sorted(values[row["id"]])} for row in rows]


def where_condition(database: Database, where: str) -> ColumnElement[bool]:
    """The filter of `--where` as a condition on `run`; raises BadInput."""
    with naming("--where"):
        return condition(database, where)


def count_text(counts: Mapping[str, int]) -> str:
    """`1 failed, 2 running`."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _conditions(database: Database, choice: Choice) -> Iterable[ColumnElement[bool]]:
    from sqlalchemy import select as select_rows

    if choice.where:
        yield where_condition(database, choice.where)
    for tag in choice.tags:
        yield select_rows(Tag.run_id).where(Tag.run_id == Run.id, Tag.tag == tag).correlate(Run).exists()
    if choice.sweep:
        yield _members(database, choice.sweep)
    if choice.frozen:
        _check_complete(database, choice.frozen)
        yield Run.id.in_(select_rows(Pinned.run_id).where(Pinned.name == choice.frozen))


def _check_complete(database: Database, name: str) -> None:
    """Raise BadInput where runs of a frozen selection are no longer in the database."""
    pinned = selections.members(database, name)
    (missing,) = (row["missing"] for row in selections.names(database) if row["name"] == name)
    if missing:
        raise BadInput(
            f"--selection: {missing} of the {len(pinned)} runs of '{name}' are no longer in {database.location}: "
            f"restore a backup that has them, or freeze what is left under another name"
        )


def _members(database: Database, name: str) -> ColumnElement[bool]:
    """That a run belongs to the sweep of this name; raises BadInput for an unknown one."""
    known = {sweep["name"]: sweep["id"] for sweep in sweeps.listing(database)}
    if name not in known:
        raise BadInput(f"--sweep: there is no sweep '{name}': {did_you_mean(name, known)}")
    return sweeps.members(known[name])
