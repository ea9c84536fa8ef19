"""How scores depend on one numeric hyperparameter: the cells of a comparison as lines over its values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.analysis.comparison import build, cell_text
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.selection import labels
from dapo_cli.analysis.selection.labels import Key, Label, key_text
from dapo_cli.analysis.selection.selected import SEE_RUNS, without_evaluations
from dapo_cli.errors import BadInput
from store.records import settings

if TYPE_CHECKING:
    from store.session import Database


class Point(NamedTuple):
    """One value of the hyperparameter, `cell` at `place` of the table, and what is to be said of it.

    `default`: whether all of its runs have the value by default, the algorithm's or a preset's.
    """

    x: float
    cell: Cell
    default: bool
    remarks: tuple[str, ...]
    place: tuple[Label, Label]

    @property
    def drawn(self) -> bool:
        """Whether it has a place in a figure."""
        return math.isfinite(self.cell.estimate.value)


class Line(NamedTuple):
    """The points of one environment and label, by x."""

    env: Key
    label: Label
    points: list[Point]


@dataclass(frozen=True)
class Sensitivity:
    """`keys` are those of the labels; `notes` say what is not drawn. The table's footnotes are those of what is."""

    table: Table
    x: str
    keys: tuple[str, ...]
    lines: list[Line]
    notes: list[str]

    @property
    def labels(self) -> list[Label]:
        """The different labels: one looks the same in every panel."""
        return sorted({line.label for line in self.lines}, key=labels.label_order)

    def records(self) -> list[dict[str, Any]]:
        """One object a point: its keys and its numbers."""
        return [
            {
                "env": line.env,
                **dict(zip(self.keys, line.label, strict=True)),
                self.x: point.x,
                **point.cell.estimate._asdict(),
                "default": point.default,
                "notes": list(point.remarks),
            }
            for line in self.lines
            for point in line.points
        ]


def collect(database: Database, request: Request, x: str) -> Sensitivity:
    """Scores against the hyperparameter `x`, a line for each value of the request's rows, of which `x` becomes one.

    Raises BadInput as `tables.build`, and where `x` is no number.
    """
    if x in ("env", *request.rows):
        raise BadInput(f"--x: {x} tells lines or panels apart: name another hyperparameter")
    request = replace(request, rows=(*request.rows, x), cols=("env",))
    table = build.build(database, request)
    if not table.counts:
        reasons = "".join(f" ({note})" for note in table.notes)
        raise BadInput(f"no run to draw{reasons}: {without_evaluations(table.notes) or SEE_RUNS}")
    runs = [run["id"] for cell in table.cells.values() for run in cell.runs]
    origins = settings.origins(database, runs, [x])
    at = table.rows.index(x)
    drawn: dict[tuple[Key, Label], list[Point]] = {}
    without = 0
    for (row, (env,)), cell in table.cells.items():
        if not cell.runs:
            continue
        value = row[at]
        if value is None:
            without += len(cell.runs)
            continue
        if isinstance(value, str | bool):
            raise BadInput(f"--x: {x} is no number ('{key_text(value)}'): name a numeric hyperparameter")
        default = all(origins[run["id"]].get(x) in ("default", "preset") for run in cell.runs)
        remarks = tuple(table.footnotes[mark] for mark in cell.marks)
        drawn.setdefault((env, row[:at] + row[at + 1 :]), []).append(
            Point(float(value), cell, default, remarks, (row, (env,)))
        )
    if not drawn:
        raise BadInput(f"--x: no run that counts has a value of {x}: choose others with --where")
    lines = [Line(env, label, sorted(points, key=lambda point: point.x)) for (env, label), points in drawn.items()]
    lines.sort(key=lambda line: labels.label_order((line.env, *line.label)))
    notes = [f"{without} {'run has' if without == 1 else 'runs have'} no {x}"] if without else []
    points = [point for line in lines for point in line.points]
    if broken := sum(not point.drawn for point in points):
        notes.append(f"{broken} of {len(points)} points not drawn, as the value is not finite")
    table = cell_text.lettered(table, [point.place for point in points if point.drawn])
    lines = [
        line._replace(points=[point._replace(cell=table.cells[point.place]) for point in line.points]) for line in lines
    ]
    return Sensitivity(table, x, table.rows[:at] + table.rows[at + 1 :], lines, notes)


def is_logarithmic(values: list[float]) -> bool:
    """Whether distinct values are better shown by their logarithms: over a decade, and there more evenly spaced."""
    values = sorted(set(values))
    if len(values) < 3 or values[0] <= 0 or values[-1] < 10 * values[0]:
        return False
    return _unevenness([math.log(value) for value in values]) < _unevenness(values)


def _unevenness(values: list[float]) -> float:
    """The largest step over the mean step."""
    return max(b - a for a, b in pairwise(values)) / (values[-1] - values[0])
