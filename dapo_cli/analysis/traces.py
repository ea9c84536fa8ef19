"""What is behind each cell of an exported table: its runs and their scores, and the SQL that gives the raw numbers."""

from __future__ import annotations

import math
from typing import Any

from dapo_cli.analysis.sheets import Sheet, positions, scores_of
from dapo_cli.analysis.tables import Cell, Table

FORMAT = 1  # of the definition


def definition(table: Table, sheet: Sheet) -> dict[str, Any]:
    """A JSON object: the request, and for each cell (`row.column`) its numbers, runs, left-out runs and footnotes.

    Numbers that are not finite stand as "nan", "inf" or "-inf".
    """
    request = table.request
    return {
        "format": FORMAT,
        "table": "hyperparameters" if sheet.is_hyperparameters else "results",
        "request": request.arguments(),
        "measure": str(request.measure),
        "statistic": request.statistic,
        "normalise": request.normalise,
        "caption": sheet.caption,
        "notes": list(table.notes),
        "cells": sheet_cells(table, sheet),
    }


def sheet_cells(table: Table, sheet: Sheet) -> dict[str, Any]:
    """`row.column` -> what is behind the cell."""
    if sheet.is_hyperparameters:
        return {}
    return {
        f"{r}.{c}": _cell(table, table.cells[row, col])
        | {"labels": dict(zip(table.rows + table.cols, row + col, strict=True)), "shown": sheet.entries[r, c].shown}
        for (r, c), row, col in positions(table)
    }


def _cell(table: Table, cell: Cell) -> dict[str, Any]:
    estimate, difference = cell.estimate, cell.difference
    scores = scores_of(cell)
    numbers = {name: _number(value) for name, value in estimate._asdict().items()}
    if difference is not None:
        names = ("difference", "difference_low", "difference_high", "p", "test")
        values = (difference.value, difference.low, difference.high, cell.p, difference.method)
        numbers |= {name: _number(value) for name, value in zip(names, values, strict=True)}
    return numbers | {
        "runs": [
            {
                "id": run["id"],
                "env": run["env"],
                "seed": run["seed"],
                "status": run["status"],
                "score": _number(scores[run["id"]]),
            }
            for run in cell.runs
        ],
        "left_out": [{"id": run["id"], "status": run["status"]} for run in cell.left_out],
        "footnotes": [table.footnotes[mark] for mark in cell.marks],
    }


def _number(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
