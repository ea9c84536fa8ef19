"""What a table claims: which cells are not distinguishable from the best, and how each differs from the base."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dapo_cli.analysis.labels import Label
from dapo_cli.analysis.requests import Request
from dapo_cli.analysis.statistics import CONFIDENCE

if TYPE_CHECKING:
    from dapo_cli.analysis.differences import Difference
    from dapo_cli.analysis.tables import Cell

Cells = Mapping[tuple[Label, Label], "Cell"]

SIGNIFICANCE = 1 - CONFIDENCE
EQUIVALENCE = 0.9  # confidence of the interval that must lie inside the margin: two one-sided tests at 5 %


def claimed(cells: Cells, request: Request, base: Label | None, random: Mapping[str, float]) -> Cells:
    """The cells with `difference`, `p`, `best` and `verdict`, column by column.

    Nothing is tested of a cell with fewer than MIN_DECIDED runs on an environment, and it is neither the best.
    """
    done = dict(cells)
    for col in {col for _, col in cells}:
        column = {row: cell for (row, other), cell in cells.items() if other == col and cell.runs}
        column = _marked_best(column, request)
        if base is not None and base in column:
            column = _against(column, base, request, random)
        done |= {(row, col): cell for row, cell in column.items()}
    return done


def _marked_best(column: dict[Label, Cell], request: Request) -> dict[Label, Cell]:
    """`best` and, where there is no base, `p`."""
    from dapo_cli.analysis.differences import MIN_DECIDED, holm

    tested = {row: c for row, c in column.items() if c.least >= MIN_DECIDED and math.isfinite(c.estimate.value)}
    if len(tested) < 2 or not request.measure.has_best:
        return column
    sign = -1 if request.measure.lower_is_better or request.statistic == "gap" else 1
    winner = max(tested, key=lambda row: sign * tested[row].estimate.value)
    others = [row for row in tested if row != winner]
    ps = [_difference(tested[row], tested[winner], request, CONFIDENCE).p for row in others]
    adjusted = dict(zip(others, holm(ps), strict=True)) | {winner: math.nan}
    return {
        row: replace(
            cell,
            p=adjusted.get(row, math.nan),
            best=row == winner or (row in adjusted and adjusted[row] >= SIGNIFICANCE),
        )
        for row, cell in column.items()
    }


def _against(
    column: dict[Label, Cell], base: Label, request: Request, random: Mapping[str, float]
) -> dict[Label, Cell]:
    """`difference`, `p` and `verdict` against the base's cell."""
    from dapo_cli.analysis.differences import MIN_DECIDED, equivalent, holm

    anchor = column[base]
    others = [row for row in column if row != base]
    differences = {row: _difference(column[row], anchor, request, CONFIDENCE) for row in others}
    decided = [row for row in others if min(column[row].least, anchor.least) >= MIN_DECIDED]
    adjusted = dict(zip(decided, holm([differences[row].p for row in decided]), strict=True))
    verdicts = dict.fromkeys(others, "undecided" if request.equivalent else "")
    if request.equivalent:
        margin = request.size(scale_of(anchor, request, random), request.equivalent, "--equivalent") or math.nan
        for row in decided:
            verdicts[row] = equivalent(_difference(column[row], anchor, request, EQUIVALENCE), margin)
    return {
        row: cell
        if row == base
        else replace(cell, difference=differences[row], p=adjusted.get(row, math.nan), verdict=verdicts[row])
        for row, cell in column.items()
    } | {base: replace(anchor, p=math.nan)}


def _difference(cell: Cell, other: Cell, request: Request, confidence: float) -> Difference:
    """Of two cells; without a value where they are not on the same environments."""
    from dapo_cli.analysis.differences import Difference, difference

    if cell.strata.keys() != other.strata.keys():
        return Difference(math.nan, math.nan, math.nan, math.nan, "")
    scores, base = (list(one.strata.values()) for one in (cell, other))
    asked = {"resamples": request.resamples, "seed": request.seed}
    return difference(scores, base, request.statistic, confidence=confidence, **asked)


def scale_of(anchor: Cell, request: Request, random: Mapping[str, float]) -> float:
    """What a margin in per cent is a share of: the base's return above a random policy's, else the base's value."""
    above = 0.0
    if request.measure.is_return and request.normalise is None and len(anchor.strata) == 1:
        (env,) = anchor.strata
        above = random.get(env, math.nan)
    return anchor.estimate.value - above
