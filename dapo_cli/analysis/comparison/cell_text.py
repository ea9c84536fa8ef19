"""The numbers of a cell as people read them, in a terminal or on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product

from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.selection.labels import Label, label_text
from dapo_cli.statistics.estimates import Estimate
from dapo_cli.terminal.formatting import fixed_text, number_text, steps_text


def value_text(table: Table, cell: Cell) -> str:
    """`5123`; "–" where no run counts."""
    if not cell.runs:
        return "–"
    value = cell.estimate.value
    if table.request.measure.lower_is_better and math.isfinite(value):
        return steps_text(round(value))
    return number_text(value).replace("inf", "∞")


def spread_text(table: Table, cell: Cell) -> str:
    """`± 210`, the standard deviation of the runs beside a mean; empty where there is none."""
    estimate = cell.estimate
    if estimate.statistic != "mean" or not math.isfinite(estimate.std):
        return ""
    return f"± {_like(table, estimate.value)(estimate.std)}"


def interval_text(table: Table, estimate: Estimate) -> str:
    """`[4602, 5645]`; "–" where there is none."""
    if math.isnan(estimate.low):
        return "–"
    like = _like(table, estimate.value)
    return f"[{like(estimate.low)}, {like(estimate.high)}]"


def difference_text(table: Table, cell: Cell) -> str:
    """`+12.3 [-4.1, 28.7]` from the base; "–" where there is none."""
    difference = cell.difference
    if difference is None or math.isnan(difference.value):
        return "–"
    like = _like(table, cell.estimate.value)
    text = like(difference.value)
    text = f"+{text}" if difference.value > 0 and text.strip("0.") else text
    return text if math.isnan(difference.low) else f"{text} [{like(difference.low)}, {like(difference.high)}]"


def p_text(p: float) -> str:
    """`0.032`, `< 0.001`; "–" where nothing was tested."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def mark_text(cell: Cell) -> str:
    """The letters of the cell's footnotes: `a, b`."""
    return ", ".join(map(letter, sorted(cell.marks)))


def in_blocks(table: Table) -> Table:
    """The same with its footnotes in the order in which they are met where each column is a block of rows."""
    grid = product(table.col_labels, table.row_labels)
    return lettered(table, [(row, col) for col, row in grid if (row, col) in table.cells])


def letter(mark: int) -> str:
    """a to z, then aa, ab, …"""
    return letter(mark // 26 - 1) + letter(mark % 26) if mark >= 26 else chr(ord("a") + mark)


def lettered(table: Table, places: Iterable[tuple[Label, Label]]) -> Table:
    """The same with the footnotes of the cells at these places only, in the order in which they are met there."""
    order = list(dict.fromkeys(mark for place in places for mark in table.cells[place].marks))
    number = {mark: index for index, mark in enumerate(order)}
    cells = {
        label: replace(cell, marks=tuple(sorted(number[mark] for mark in cell.marks if mark in number)))
        for label, cell in table.cells.items()
    }
    return replace(table, cells=cells, footnotes=tuple(table.footnotes[mark] for mark in order))


def footnotes(table: Table) -> list[str]:
    """`a: 1 failed not counted`, one a footnote."""
    return [f"{letter(mark)}: {text}" for mark, text in enumerate(table.footnotes)]


def heading(table: Table, key: str, value: object) -> str:
    """A label of the table with the symbol of its key."""
    named = key in ("algo", "env", "tag", "configuration")
    return label_text(key if named else table.symbols.get(key, key), value)  # type: ignore[arg-type]


def row_text(table: Table, row: Label) -> str:
    """`dapo-kl, β = 0.1`: a row without the keys that it lacks."""
    parts = zip(table.rows, row, strict=True)
    return ", ".join(heading(table, key, value) for key, value in parts if value is not None) or "–"


def _like(table: Table, scale: float) -> Callable[[float], str]:
    """How numbers are written beside one of this size."""
    if table.request.measure.lower_is_better:
        return lambda value: steps_text(round(value)) if math.isfinite(value) else "∞"
    return lambda value: number_text(value, scale)


def decimals(size: float) -> int:
    """The digits after the point of a number of this size, so that about four are significant."""
    return 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """`5123.4`, `+12.0`, `∞`; "NaN" where a score is not a number."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return fixed_text(value, digits, signed=signed)


def fixed_interval(low: float, high: float, digits: int) -> str:
    """`[4602, 5645]`; empty where there is none."""
    return "" if math.isnan(low) else f"[{fixed(low, digits)}, {fixed(high, digits)}]"
