"""What is behind each cell of an exported table, and the keys and checksums that tell one content from another."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.comparison.table import Cell, Table
    from dapo_cli.analysis.selection.selected import Record

Place = tuple[int, int]
"""Row and column of a cell, counted from 1."""


def of_results(table: Table, cell: Cell) -> dict[str, Any]:
    """The numbers of a cell, its runs with their scores, the runs left out and its footnotes, as JSON takes them."""
    difference, scores = cell.difference, scores_of(cell)
    numbers: dict[str, Any] = cell.estimate._asdict()
    if difference is not None:
        numbers |= {
            f"difference_{name}" if name != "value" else "difference": x for name, x in difference._asdict().items()
        }
        numbers["p"] = cell.p
    return {
        **{name: plain(value) for name, value in numbers.items()},
        "runs": [_run(run) | {"score": plain(scores[run["id"]])} for run in cell.runs],
        "left_out": [_run(run) for run in cell.left_out],
        "footnotes": [table.footnotes[mark] for mark in cell.marks],
    }


def scores_of(cell: Cell) -> dict[str, float]:
    """The scores of a cell's runs by id."""
    left = {env: iter(scores) for env, scores in cell.strata.items()}
    return {run["id"]: float(next(left[run["env"]])) for run in cell.runs}


def checksum(values: Mapping[str, Any]) -> str:
    """Run id -> score: 6 hex digits of the runs, a dash, 6 of the runs with their scores."""
    pairs = sorted((id_, repr(value)) for id_, value in values.items())
    return f"{_digest([id_ for id_, _ in pairs], 6)}-{_digest(pairs, 6)}"


def export_key(request: Request, what: str, behind: Mapping[Place, Mapping[str, Any]]) -> str:
    """8 hex digits of the request and of the runs of every cell with their scores; the style does not count."""
    cells = [[*at, sorted((run["id"], repr(run["score"])) for run in cell["runs"])] for at, cell in behind.items()]
    return _digest([what, request.arguments(), cells], 8)


def definition(
    request: Request, what: str, notes: tuple[str, ...], behind: Mapping[Place, Mapping[str, Any]]
) -> dict[str, Any]:
    """A JSON object of all that is to be known of an export later; `cells`: `row.column` -> what is behind it."""
    return {
        "format": 1,
        "what": what,
        "request": request.arguments(),
        "measure": str(request.measure),
        "normalise": request.normalise,
        "notes": list(notes),
        "cells": {f"{r}.{c}": cell for (r, c), cell in behind.items()},
    }


def plain(value: Any) -> Any:
    """A number that JSON does not have as text: "nan", "inf", "-inf"."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _run(run: Record) -> dict[str, Any]:
    return {name: run[name] for name in ("id", "env", "seed", "status")}


def _digest(value: object, digits: int) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()[:digits]
