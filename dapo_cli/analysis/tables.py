"""Final returns grouped by keys: the cells of `dapo compare` and `dapo table`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.statistics import Summary, summarize
from dapo_cli.display import number_text

if TYPE_CHECKING:
    from dapo_cli.analysis.selection import Selection

Key = str | float | bool | None
Label = tuple[Key, ...]

_HARMLESS = {"seed", "checkpoint_every", "log_every", "keep_replay"}  # what may differ between runs of one cell
_RUN_SETTINGS = ("algo", "env", "steps")


@dataclass(frozen=True)
class Table:
    """`cells[row label, column label]`; a label holds one value for each of the keys, None where a run has none."""

    rows: tuple[str, ...]
    cols: tuple[str, ...]
    cells: Mapping[tuple[Label, Label], Summary]
    pooled: tuple[str, ...]  # settings in which runs of one cell differ
    repeated_seeds: bool  # some cell holds two runs of one seed that differ in nothing
    remarks: tuple[str, ...]  # on the choice of the runs

    @property
    def row_labels(self) -> list[Label]:
        """Sorted: numbers by value, then text, then None."""
        return sorted({row for row, _ in self.cells}, key=label_order)

    @property
    def col_labels(self) -> list[Label]:
        """Sorted as the row labels are."""
        return sorted({col for _, col in self.cells}, key=label_order)

    def records(self) -> list[dict[str, Any]]:
        """One object a cell, in the order of rows and columns: its keys, n, mean, std, low, high."""
        return [
            {**dict(zip(self.rows + self.cols, row + col, strict=True)), **self.cells[row, col]._asdict()}
            for row, col in product(self.row_labels, self.col_labels)
            if (row, col) in self.cells
        ]

    def notes(self, option: str = "") -> list[str]:
        """What a reader must know before believing the numbers; `option` is where another key can be named."""
        return [*sharing_notes(self.pooled, self.repeated_seeds, "cell", option), *self.remarks]


def pivot(selection: Selection, rows: Sequence[str], cols: Sequence[str]) -> Table:
    """Group the runs of a selection by row and column keys."""
    groups = group(selection, [*rows, *cols])
    pooled, repeated = sharing(groups.values())
    return Table(
        rows=tuple(rows),
        cols=tuple(cols),
        cells={
            (label[: len(rows)], label[len(rows) :]): summarize([run["final"] for run in runs])
            for label, runs in groups.items()
        },
        pooled=pooled,
        repeated_seeds=repeated,
        remarks=tuple(selection.notes()),
    )


def group(selection: Selection, keys: Sequence[str]) -> dict[Label, list[Mapping[str, Any]]]:
    """The runs of a selection by their values of `keys`; with the key `tag` a run counts for each of its tags."""
    groups: dict[Label, list[Mapping[str, Any]]] = {}
    for run in selection.runs:
        values = [(run["tags"] or [None]) if key == "tag" else [_key(run.get(key))] for key in keys]
        for label in product(*values):
            groups.setdefault(label, []).append(run)
    return groups


def sharing(groups: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[tuple[str, ...], bool]:
    """The settings in which runs of one group differ, and whether some group holds equal runs of one seed."""
    pooled: set[str] = set()
    repeated = False
    for runs in groups:
        differing = _differing(runs)
        pooled |= differing
        repeated |= not differing and len({run["seed"] for run in runs}) < len(runs)
    return tuple(sorted(pooled)), repeated


def sharing_notes(pooled: Sequence[str], repeated_seeds: bool, place: str, option: str = "") -> list[str]:
    """What `sharing` found, in words: `place` is what the runs share, `option` where another key can be named."""
    notes = []
    if pooled:
        remedy = f": add a key to {option}, or filter with --where" if option else ""
        notes.append(f"runs that differ in {', '.join(pooled)} share a {place}{remedy}")
    if repeated_seeds:
        notes.append(f"several equal runs of one seed share a {place}, which makes the spread too small")
    return notes


def label_order(label: Label) -> list[tuple[int, float, str]]:
    """The sort key of labels: numbers by value, then text, then None."""
    return [
        (2, 0.0, "") if value is None else (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")
        for value in label
    ]


def label_text(key: str, value: Key) -> str:
    """A label as people read it: names stand for themselves, settings carry theirs."""
    if key in ("algo", "env", "tag"):
        return key_text(value) if value is not None else f"no {key}"
    return f"{key} = {key_text(value)}"


def key_text(value: Key) -> str:
    """One key value as text."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


def cell_text(summary: Summary) -> str:
    """`5123 ± 210`: mean and standard deviation, the latter where there is one."""
    mean = number_text(summary.mean)
    return mean if math.isnan(summary.std) else f"{mean} ± {number_text(summary.std, summary.mean)}"


def interval_text(summary: Summary) -> str:
    """`[4602, 5645]`: the 95 % interval of the mean, "–" where there are too few runs."""
    if math.isnan(summary.low):
        return "–"
    low, high = (number_text(bound, summary.mean) for bound in (summary.low, summary.high))
    return f"[{low}, {high}]"


def _differing(group: Sequence[Mapping[str, Any]]) -> set[str]:
    names = set(_RUN_SETTINGS).union(*(run["settings"] for run in group)) - _HARMLESS
    return {name for name in names if len({_key(run.get(name)) for run in group}) > 1}


def _key(value: Any) -> Key:
    if isinstance(value, list):
        return json.dumps(value)
    return "nan" if isinstance(value, float) and math.isnan(value) else value
