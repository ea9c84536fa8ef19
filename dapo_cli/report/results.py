"""What runs came to, as listings: the table of results, differences from a base, probabilities of improvement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.export import captions
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.report.html_listing import Listing, Part


def results(table: Table) -> Listing:
    """As `dapo compare` prints it, a part for each column."""
    table = cell_text.in_blocks(table)
    name = table.request.statistic
    columns: dict[str, Any] = {
        "n": lambda cell: str(cell.estimate.n),
        name: lambda cell: f"{cell_text.value_text(table, cell)} {cell_text.spread_text(table, cell)}".rstrip(),
        "95 % interval": lambda cell: cell_text.interval_text(table, cell.estimate),
    }
    if table.base is not None:
        columns["Δ"] = lambda cell: cell_text.difference_text(table, cell)
    if any(not math.isnan(cell.p) for cell in table.cells.values()):
        columns["p"] = lambda cell: cell_text.p_text(cell.p)
    if table.request.equivalent:
        columns["verdict"] = lambda cell: cell.verdict
    if table.footnotes:
        columns["notes"] = cell_text.mark_text
    parts = []
    for col in table.col_labels:
        cells = [(row, cell) for row in table.row_labels if (cell := table.at(row, col)) is not None]
        rows = [(*_keys(table, row), *(text(cell) for text in columns.values())) for row, cell in cells]
        best = frozenset(number for number, (_, cell) in enumerate(cells) if cell.best)
        parts.append(Part(", ".join(_keys(table, col, table.cols)), rows, best))
    right = frozenset(columns) - {"notes", "verdict"}
    keys = tuple(table.symbols.get(key, key) for key in table.rows)
    remarks = [
        captions.caption(table),
        *cell_text.footnotes(table),
        *(f"{note[0].upper()}{note[1:]}." for note in table.notes),
    ]
    return Listing((*keys, *columns), parts, right, remarks)


def _keys(table: Table, label: Label, keys: Sequence[str] = ()) -> list[str]:
    return (
        [cell_text.heading(table, key, value) for key, value in zip(keys, label, strict=True)]
        if keys
        else [*map(key_text, label)]
    )


def probabilities(table: Table) -> Listing | None:
    """Every pair of rows, over the environments where both have enough runs; None where no pair has."""
    from dapo_cli.statistics.differences import MIN_DECIDED, improvement

    request, rows = table.request, []
    if len(table.row_labels) < 2 or request.measure.name == "speed":
        return None
    sign = -1 if request.measure.lower_is_better else 1
    for row, other in combinations(table.row_labels, 2):
        sides: tuple[list[Any], list[Any]] = ([], [])
        for col in table.col_labels:
            cells = [table.at(one, col) for one in (row, other)]
            if all(cell is not None and cell.runs and cell.least >= MIN_DECIDED for cell in cells):
                for side, cell in zip(sides, cells, strict=True):
                    side += _strata(cell, sign)
        if not sides[0] or len(sides[0]) != len(sides[1]):
            continue
        names = [cell_text.row_text(table, one) for one in (row, other)]
        found = improvement(*sides, resamples=request.resamples, seed=request.seed)
        if found.value < 0.5:
            found = improvement(*sides[::-1], resamples=request.resamples, seed=request.seed)
            names.reverse()
        interval = "–" if math.isnan(found.low) else f"[{found.low:.2f}, {found.high:.2f}]"
        rows.append((*names, str(len(sides[0])), f"{found.value:.2f}", interval))
    if not rows:
        return None
    text = (
        "How probable it is that a run of the first is better than one of the second (Agarwal et al. 2021), ties one "
        f"half; environments where both have at least {MIN_DECIDED} runs, of equal weight. 0.50: no difference. "
        f"Brackets: 95 % bootstrap interval over runs ({request.resamples} resamples, seed {request.seed}), an exact "
        "bound where all runs of one side beat all of the other."
    )
    columns = ("better", "than", "environments", "probability", "95 % interval")
    return Listing(columns, [Part("", rows)], frozenset(columns[2:]), [text])


def _strata(cell: Cell | None, sign: int) -> list[list[float]]:
    return [[sign * score for score in scores] for scores in cell.strata.values()] if cell else []
