"""A table as it is written down: texts for every cell, whatever the format, and the key by which a number is traced."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.export import captions, cell_keys
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.terminal.console import visible

TITLES = {"mean": "mean", "median": "median", "iqm": "IQM", "gap": "optimality gap"}


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
    """One text of every cell. `kind`: "number" (aligned at the point), "spread", "count", "text" or "marks"."""

    name: str
    kind: str
    title: str


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
    """`entries[row, column]`, counted from 1; `behind` is what each rests on, as JSON has it; programs read `records`.

    `export` is the table's key, `command` makes it again. `headings` stand over the row labels, `over` are the columns'
    keys. With `blocks` it is written long: a block of rows for each column, and a column for each part. `sections` are
    headings over rows: row -> text. `below` are footnotes and notes, `symbols` those of hyperparameters in its texts.
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
    behind: Mapping[tuple[int, int], Mapping[str, Any]]
    below: tuple[str, ...]
    records: list[dict[str, Any]]
    symbols: frozenset[str] = frozenset()
    blocks: bool = False
    sections: Mapping[int, str] = field(default_factory=dict)

    def key(self, row: int, col: int) -> str:
        """The key of a cell."""
        return f"{self.export}.{row}.{col}"


def results(table: Table, style: Style) -> Sheet:
    """The sheet of a comparison's numbers."""
    table = _lettered(table)
    parts = _parts(table, style)
    entries, behind = {}, {}
    for at, row, col in positions(table):
        cell = table.cells[row, col]
        texts = _texts(cell, parts, _decimals(table, col, style))
        entries[at] = Entry(texts, cell.estimate.n, cell_keys.checksum(cell_keys.scores_of(cell)), cell.best)
        labels = dict(zip(table.rows + table.cols, row + col, strict=True))
        behind[at] = cell_keys.of_results(table, cell) | {"labels": labels, "shown": entries[at].shown}
    export = cell_keys.export_key(table.request, "results", behind)
    return Sheet(
        export=export,
        command=command(table, style),
        caption=visible(captions.caption(table, spread=style.spread)),
        headings=tuple(visible(table.symbols.get(key, key)) for key in table.rows),
        over=", ".join(visible(table.symbols.get(key, key)) for key in table.cols),
        rows=tuple(tuple(visible(key_text(value)) for value in row) for row in table.row_labels),
        cols=tuple(heading(table, table.cols, col) or visible(table.request.measure.title) for col in table.col_labels),
        parts=parts,
        entries=entries,
        behind=behind,
        below=tuple(
            visible(text) for text in (*cell_text.footnotes(table), *(f"Note: {note}." for note in table.notes))
        ),
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


def heading(table: Table, keys: tuple[str, ...], label: Label) -> str:
    """A label in one line: `HalfCheetah-v4, β = 0.5`."""
    return visible(", ".join(cell_text.heading(table, key, value) for key, value in zip(keys, label, strict=True)))


def command(table: Table, style: Style) -> str:
    """The command line that makes the sheet again."""
    return shlex.join(["dapo", "table", *table.request.arguments(), *style.arguments()])


def _parts(table: Table, style: Style) -> tuple[Part, ...]:
    cells = table.cells.values()
    parts = [Part("value", "number", TITLES[table.request.statistic])]
    if style.spread == "std" and any(_has_std(cell) for cell in cells):
        parts.append(Part("std", "spread", "± std"))
    if style.spread == "interval" and any(math.isfinite(cell.estimate.low) for cell in cells):
        parts.append(Part("interval", "spread", "95 % interval"))
    if table.base is not None or len(table.counts) > 1:
        parts.append(Part("n", "count", "n"))
    if table.base is not None:
        parts.append(Part("difference", "number", "Δ"))
        if any(cell.difference and math.isfinite(cell.difference.low) for cell in cells):
            parts.append(Part("difference interval", "spread", "95 % interval"))
        if any(math.isfinite(cell.p) for cell in cells):
            parts.append(Part("p", "count", "p"))
    if table.request.equivalent:
        parts.append(Part("verdict", "text", "verdict"))
    return (*parts, Part("marks", "marks", "")) if table.footnotes else tuple(parts)


def _texts(cell: Cell, parts: Iterable[Part], decimals: int) -> tuple[str, ...]:
    estimate, difference = cell.estimate, cell.difference
    number = cell_text.fixed
    texts = {
        "value": number(estimate.value, decimals) if cell.runs else "–",
        "std": f"± {number(estimate.std, decimals)}" if _has_std(cell) else "",
        "interval": cell_text.fixed_interval(estimate.low, estimate.high, decimals),
        "n": str(estimate.n),
        "difference": number(difference.value, decimals, signed=True) if difference else "–",
        "difference interval": cell_text.fixed_interval(difference.low, difference.high, decimals)
        if difference
        else "",
        "p": cell_text.p_text(cell.p),
        "verdict": cell.verdict,
        "marks": cell_text.mark_text(cell),
    }
    return tuple(texts[part.name] for part in parts)


def _has_std(cell: Cell) -> bool:
    return cell.estimate.statistic == "mean" and math.isfinite(cell.estimate.std)


def _decimals(table: Table, col: Label, style: Style) -> int:
    """Digits after the point, the same in the whole column: as the largest of its numbers would have."""
    if style.digits is not None:
        return style.digits
    estimates = [cell.estimate for (_, other), cell in table.cells.items() if other == col]
    values = [one.value for one in estimates], [bound for one in estimates for bound in (one.low, one.high)]
    sizes = next(filter(None, ([abs(x) for x in some if math.isfinite(x)] for some in values)), [0.0])
    return cell_text.decimals(max(sizes))


def _lettered(table: Table) -> Table:
    """The same with its footnotes in the order in which they are met, row by row or, in blocks, column by column."""
    if table.base is not None:
        return cell_text.in_blocks(table)
    return cell_text.lettered(table, [(row, col) for _, row, col in positions(table)])


def in_blocks(sheet: Sheet) -> Sheet:
    """The same written as blocks, its footnotes in the order in which they are then met."""
    if sheet.blocks or sheet.parts[-1].kind != "marks":
        return replace(sheet, blocks=True)
    places = sorted(sheet.entries, key=lambda at: (at[1], at[0]))
    met = dict.fromkeys(mark for at in places for mark in filter(None, sheet.entries[at].texts[-1].split(", ")))
    letters = {mark: cell_text.letter(number) for number, mark in enumerate(met)}
    entries = {}
    for at, entry in sheet.entries.items():
        marks = [mark for mark in met if mark in entry.texts[-1].split(", ")]
        entries[at] = entry._replace(texts=(*entry.texts[:-1], ", ".join(letters[mark] for mark in marks)))
    notes = {mark: next(text for text in sheet.below if text.startswith(f"{mark}: ")) for mark in met}
    others = [text for text in sheet.below if text not in notes.values()]
    footnotes = [f"{letters[mark]}{text.removeprefix(mark)}" for mark, text in notes.items()]
    return replace(sheet, blocks=True, entries=entries, below=(*footnotes, *others))
