"""The values of a comparison: its cells, each with its statistic, its interval and what must be said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.statistics.estimates import Estimate

if TYPE_CHECKING:
    from dapo_cli.statistics.differences import Difference


@dataclass(frozen=True)
class Cell:
    """The runs of one row and column. `strata`: environment -> the scores of its runs, in the order of `runs`.

    `difference` is from the base's cell in the same column, `p` is adjusted by Holm over the column, of the test
    against the base, or, without one, against the best; NaN where nothing was tested. `best`: not distinguishable from
    the best of its rivals, the cells of the column on the same environments. `marks`: the numbers of the table's
    footnotes, from 0.
    """

    estimate: Estimate
    strata: Mapping[str, tuple[float, ...]]
    runs: tuple[Record, ...]
    left_out: tuple[Record, ...] = ()
    marks: tuple[int, ...] = ()
    difference: Difference | None = None
    p: float = math.nan
    best: bool = False
    verdict: str = ""

    @property
    def least(self) -> int:
        """The number of runs on the environment that has fewest."""
        return min(map(len, self.strata.values()), default=0)


@dataclass(frozen=True)
class Table:
    """`cells[row label, column label]`; the labels are in the order in which they are shown."""

    request: Request
    rows: tuple[str, ...]  # the keys of the row labels, those of `split` among them; for an ablation "configuration"
    cols: tuple[str, ...]
    split: tuple[str, ...]  # the keys that were not asked for, and without which cells would pool configurations
    row_labels: list[Label]
    col_labels: list[Label]
    cells: Mapping[tuple[Label, Label], Cell]
    footnotes: tuple[str, ...]  # to which the cells' marks refer
    notes: tuple[str, ...]  # what holds for all cells
    symbols: Mapping[str, str]  # of hyperparameters: name -> as in the papers
    random: Mapping[str, float]  # environment -> a random policy's return
    base: Label | None = None  # the row against which differences are
    base_text: str = ""  # the configuration of the base of an ablation
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the caption: steps, episodes

    def at(self, row: Label, col: Label) -> Cell | None:
        """The cell, None where no run has these labels."""
        return self.cells.get((row, col))

    @property
    def counts(self) -> set[int]:
        """The numbers of runs of the cells."""
        return {cell.estimate.n for cell in self.cells.values() if cell.runs}

    def records(self) -> list[dict[str, Any]]:
        """One object a cell, in the order of rows and columns: its keys and its numbers."""
        return [
            {**dict(zip(self.rows + self.cols, row + col, strict=True)), **self._numbers(self.cells[row, col])}
            for row, col in product(self.row_labels, self.col_labels)
            if (row, col) in self.cells
        ]

    def _numbers(self, cell: Cell) -> dict[str, Any]:
        numbers = {
            **cell.estimate._asdict(),
            "left_out": len(cell.left_out),
            "best": cell.best,
            "notes": [self.footnotes[mark] for mark in cell.marks],
        }
        if self.request.base is not None:
            names = ("difference", "difference_low", "difference_high")
            values = cell.difference[:3] if cell.difference else (math.nan,) * 3
            numbers |= dict(zip(names, values, strict=True)) | {"p": cell.p}
        return numbers | ({"verdict": cell.verdict} if self.request.equivalent else {})
