"""A table as it is written down: texts for every cell, whatever the format, and the key by which a number is traced."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

from dapo_cli.analysis import captions, wording
from dapo_cli.analysis.labels import Label, key_text
from dapo_cli.analysis.tables import Cell, Table
from dapo_cli.console import visible

SPREADS = ("interval", "std", "none")


@dataclass(frozen=True)
class Style:
    """How a table is written. `digits` after the decimal point of every number; None: by the size of each column's."""

    format: str = "markdown"
    spread: str = "interval"
    digits: int | None = None
    hyperparameters: bool = False

    def arguments(self) -> list[str]:
        """The options that ask for it."""
        arguments = ["--format", self.format, "--spread", self.spread]
        arguments += [] if self.digits is None else ["--digits", str(self.digits)]
        return arguments + ["--hyperparameters"] * self.hyperparameters


class Part(NamedTuple):
    """What a cell consists of. `kind`: "number" (aligned at the point), "spread", "text" or "marks"."""

    title: str
    kind: str


class Entry(NamedTuple):
    """One cell: a text for each part of the sheet. `checksum`: 6 hex digits of its runs, a dash, 6 of their scores."""

    texts: tuple[str, ...]
    n: int
    checksum: str
    bold: bool = False
    spans: bool = False  # it stands once for all columns

    @property
    def shown(self) -> str:
        """The cell as it is read: its texts beside each other."""
        return " ".join(filter(None, self.texts))


@dataclass(frozen=True)
class Sheet:
    """`entries[row, column]`, counted from 1. `export` is the table's key, `command` makes it again.

    With `blocks` it is written long: a block of rows for each column, and a column for each part. `sections` are
    headings over rows: row -> text. `headings` stand over the row labels, `over` are the columns' keys; `below` are footnotes and notes, `symbols` those of hyperparameters in its texts.
    """

    export: str
    command: str
    caption: str
    headings: tuple[str, ...]
    over: str
    rows: tuple[tuple[str, ...], ...]
    cols: tuple[str, ...]
    parts: tuple[Part, ...]
    entries: Mapping[tuple[int, int], Entry]
    below: tuple[str, ...]
    records: list[dict[str, Any]]
    symbols: frozenset[str] = frozenset()
    blocks: bool = False
    sections: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_hyperparameters(self) -> bool:
        """Whether it holds settings, not results."""
        return bool(self.sections)

    def key(self, row: int, col: int) -> str:
        """The key of a cell."""
        return f"{self.export}.{row}.{col}"


def results(table: Table, style: Style) -> Sheet:
    """The sheet of a comparison's numbers."""
    parts = _parts(table, style)
    entries = {}
    for at, row, col in positions(table):
        cell = table.cells[row, col]
        texts = _texts(table, cell, parts, _decimals(table, col, style))
        entries[at] = Entry(texts, cell.estimate.n, checksum(scores_of(cell)), cell.best)
    export = export_key(table, {f"{r}.{c}": scores_of(table.cells[row, col]) for (r, c), row, col in positions(table)})
    return Sheet(
        export=export,
        command=command(table, style),
        caption=captions.caption(table, spread=style.spread),
        headings=tuple(visible(table.symbols.get(key, key)) for key in table.rows),
        over=", ".join(visible(table.symbols.get(key, key)) for key in table.cols),
        rows=tuple(
            tuple(_label(table, key, value, False) for key, value in zip(table.rows, row, strict=True))
            for row in table.row_labels
        ),
        cols=tuple(_column(table, col) for col in table.col_labels),
        parts=parts,
        entries=entries,
        below=tuple(visible(text) for text in (*wording.footnotes(table), *(f"Note: {note}." for note in table.notes))),
        records=[
            {"key": f"{export}.{r}.{c}", **record, "checksum": entries[r, c].checksum}
            for ((r, c), _, _), record in zip(positions(table), table.records(), strict=True)
        ],
        symbols=frozenset(table.symbols.values()),
        blocks=table.base is not None,
    )


def positions(table: Table) -> list[tuple[tuple[int, int], Label, Label]]:
    """Every cell's place, counted from 1, and its labels, row by row."""
    grid = product(enumerate(table.row_labels, 1), enumerate(table.col_labels, 1))
    return [((r, c), row, col) for (r, row), (c, col) in grid if (row, col) in table.cells]


def scores_of(cell: Cell) -> dict[str, float]:
    """The scores of a cell's runs by id."""
    left = {env: list(scores) for env, scores in cell.strata.items()}
    return {run["id"]: left[run["env"]].pop(0) for run in cell.runs}


def checksum(values: Mapping[str, Any]) -> str:
    """What tells a cell from another one: its runs, and what they came to."""
    runs, both = sorted(values), [[id_, repr(value)] for id_, value in sorted(values.items())]
    return f"{_digest(runs, 6)}-{_digest(both, 6)}"


def export_key(table: Table, cells: Mapping[str, Mapping[str, Any]], what: str = "results") -> str:
    """8 hex digits of the request and of the runs of every cell with their values; not of the style."""
    values = {at: [[id_, repr(value)] for id_, value in sorted(of.items())] for at, of in cells.items()}
    return _digest([what, table.request.arguments(), values], 8)


def command(table: Table, style: Style) -> str:
    """The command line that makes the sheet again."""
    return shlex.join(["dapo", "table", *table.request.arguments(), *style.arguments()])


def _digest(value: object, digits: int) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:digits]


def _parts(table: Table, style: Style) -> tuple[Part, ...]:
    cells = table.cells.values()
    parts = [Part(table.request.statistic, "number")]
    if style.spread == "std" and any(_has_std(cell) for cell in cells):
        parts.append(Part("± std", "spread"))
    if style.spread == "interval" and any(math.isfinite(cell.estimate.low) for cell in cells):
        parts.append(Part("95 % interval", "spread"))
    if table.base is not None or len(table.counts) > 1:
        parts.append(Part("n", "text"))
    if table.base is not None:
        parts += [Part("Δ", "number"), Part("95 % interval of Δ", "spread"), Part("p", "text")]
    if table.request.equivalent:
        parts.append(Part("verdict", "text"))
    return (*parts, Part("", "marks")) if table.footnotes else tuple(parts)


def _texts(table: Table, cell: Cell, parts: Iterable[Part], decimals: int) -> tuple[str, ...]:
    estimate, difference = cell.estimate, cell.difference
    number = wording.fixed
    texts = {
        table.request.statistic: number(estimate.value, decimals) if cell.runs else "–",
        "± std": f"± {number(estimate.std, decimals)}" if _has_std(cell) else "",
        "95 % interval": wording.fixed_interval(estimate.low, estimate.high, decimals),
        "n": str(estimate.n),
        "Δ": number(difference.value, decimals, signed=True) if difference else "–",
        "95 % interval of Δ": wording.fixed_interval(difference.low, difference.high, decimals) if difference else "",
        "p": wording.p_text(cell.p),
        "verdict": cell.verdict,
        "": wording.mark_text(cell),
    }
    return tuple(texts[part.title] for part in parts)


def _has_std(cell: Cell) -> bool:
    return cell.estimate.statistic == "mean" and math.isfinite(cell.estimate.std)


def _decimals(table: Table, col: Label, style: Style) -> int:
    """Digits after the point, the same in the whole column: as the largest of its numbers would have."""
    if style.digits is not None:
        return style.digits
    values = [abs(cell.estimate.value) for (_, other), cell in table.cells.items() if other == col]
    return wording.decimals(max((value for value in values if math.isfinite(value)), default=0.0))


def _label(table: Table, key: str, value: Any, named: bool) -> str:
    return visible(wording.heading(table, key, value) if named else key_text(value))


def _column(table: Table, col: Label) -> str:
    texts = [_label(table, key, value, True) for key, value in zip(table.cols, col, strict=True)]
    return ", ".join(texts) or visible(table.request.measure.title)
