"""What changed in a table since a selection was frozen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.terminal import console
from dapo_cli.terminal.formatting import number_text

if TYPE_CHECKING:
    from store.session import Database


class Change(NamedTuple):
    """A cell that is not what it was; None on a side where it has no runs."""

    keys: dict[str, Any]
    before: Cell | None
    after: Cell | None

    def record(self) -> dict[str, Any]:
        """As data: the keys, value and n before and after, and the ids of runs that came and went."""
        sides = {"before": self.before, "after": self.after}
        ids = {name: {run["id"] for run in cell.runs} if cell else set() for name, cell in sides.items()}
        return {
            **self.keys,
            **{name: cell.estimate.value if cell else None for name, cell in sides.items()},
            **{f"n_{name}": cell.estimate.n if cell else 0 for name, cell in sides.items()},
            "came": sorted(ids["after"] - ids["before"]),
            "went": sorted(ids["before"] - ids["after"]),
        }


def between(database: Database, table: Table, frozen: str) -> tuple[Table, list[Change]]:
    """The cells in which `table` differs from the same table over the frozen selection.

    Where other configurations came or went, both are split by the same keys: the first of the result is that table.
    """
    choices = table.request.choice, Choice(frozen=frozen)
    before = build.build(database, replace(table.request, choice=choices[1]))
    if table.split != before.split:
        rows = tuple(dict.fromkeys((*table.request.rows, *table.split, *before.split)))
        request = replace(table.request, rows=rows)
        table, before = (build.build(database, replace(request, choice=choice)) for choice in choices)
    changes = []
    places = dict.fromkeys([*((row, col) for row, col in before.cells), *table.cells])
    for place in sorted(places, key=lambda place: _order(table, before, place)):
        old, new = (one.cells.get(place) for one in (before, table))
        old, new = (cell if cell and cell.runs else None for cell in (old, new))
        if _state(old) != _state(new):
            keys = dict(zip((*table.cols, *table.rows), (*place[1], *place[0]), strict=False))
            changes.append(Change(keys, old, new))
    return table, changes


def print_changes(table: Table, changes: Sequence[Change]) -> None:
    """The changes as a table on standard output."""
    if not changes:
        console.info("no cell changed")
        return
    rows = [
        [*(key_text(value) for value in change.keys.values()), _text(change.before), _text(change.after), _why(change)]
        for change in changes
    ]
    console.print_table((*table.cols, *table.rows, "before", "after", "why"), rows, right=("before", "after"))


def _order(table: Table, before: Table, place: tuple[Label, Label]) -> tuple[int, ...]:
    orders = ([*table.col_labels, *before.col_labels], [*table.row_labels, *before.row_labels])
    return tuple(order.index(label) for order, label in zip(orders, reversed(place), strict=True))


def _state(cell: Cell | None) -> Any:
    """What must be equal for a cell to be unchanged: its runs and their scores."""
    return cell and (sorted(run["id"] for run in cell.runs), repr(cell.strata))


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return (
        f"{number_text(cell.estimate.value) if not math.isnan(cell.estimate.value) else 'nan'} (n = {cell.estimate.n})"
    )


def _why(change: Change) -> str:
    record = change.record()
    parts = [
        f"{len(record[way])} {'run' if len(record[way]) == 1 else 'runs'} {way}"
        for way in ("came", "went")
        if record[way]
    ]
    return ", ".join(parts) or "other returns"
