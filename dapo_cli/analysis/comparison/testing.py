"""What a table claims: which cells are not distinguishable from the best, and how each differs from the base."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dapo_cli.analysis.comparison.request import Margin, Request
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.statistics.estimates import CONFIDENCE

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.table import Cell
    from dapo_cli.statistics.differences import Difference

Cells = Mapping[tuple[Label, Label], "Cell"]

SIGNIFICANCE = 1 - CONFIDENCE
EQUIVALENCE = 0.9  # confidence of the interval that must lie inside the margin: two one-sided tests at 5 %


def claimed(cells: Cells, request: Request, base: Label | None, random: Mapping[str, float]) -> Cells:
    """The cells with `difference`, `p`, `best` and `verdict`, column by column.

    Nothing is tested of a cell with fewer than MIN_DECIDED runs on an environment, and it is neither the best.
    """
    done = dict(cells)
    for rivals in _rivals(cells, request):
        done |= _marked_best({at: cells[at] for at in rivals}, request)
    for col in {col for _, col in cells}:
        column = {row: cell for (row, other), cell in done.items() if other == col and cell.runs}
        if base is not None and base in column:
            done |= {(row, col): cell for row, cell in _against(column, base, request, random).items()}
    return done


def _rivals(cells: Cells, request: Request) -> Iterator[list[tuple[Label, Label]]]:
    """The cells of which one can be the best: of a column, or of a row where rows are environments alone.

    Scores on different environments have no better and worse. Of pooled cells those are rivals whose environments are
    the same, and no part of those of others.
    """
    lines: dict[Label, dict[frozenset[str], list[tuple[Label, Label]]]] = {}
    for (row, col), cell in cells.items():
        if cell.runs:
            line = lines.setdefault(row if request.rows == ("env",) else col, {})
            line.setdefault(frozenset(cell.strata), []).append((row, col))
    for line in lines.values():
        yield from (rivals for envs, rivals in line.items() if not any(envs < others for others in line))


def _marked_best(rivals: dict[tuple[Label, Label], Cell], request: Request) -> dict[tuple[Label, Label], Cell]:
    """`best` and, where there is no base, `p`."""
    from dapo_cli.statistics.differences import MIN_DECIDED, holm

    tested = {at: c for at, c in rivals.items() if c.least >= MIN_DECIDED and math.isfinite(c.estimate.value)}
    if len(tested) < 2 or not request.measure.has_best:
        return rivals
    sign = -1 if request.measure.lower_is_better or request.statistic == "gap" else 1
    winner = max(tested, key=lambda at: sign * tested[at].estimate.value)
    others = [at for at in tested if at != winner]
    ps = [_difference(tested[at], tested[winner], request, CONFIDENCE).p for at in others]
    adjusted = dict(zip(others, holm(ps), strict=True)) | {winner: math.nan}
    return {
        at: replace(
            cell,
            p=adjusted.get(at, math.nan),
            best=at == winner or (at in adjusted and adjusted[at] >= SIGNIFICANCE),
        )
        for at, cell in rivals.items()
    }


def _against(
    column: dict[Label, Cell], base: Label, request: Request, random: Mapping[str, float]
) -> dict[Label, Cell]:
    """`difference`, `p` and `verdict` against the base's cell."""
    from dapo_cli.statistics.differences import MIN_DECIDED, equivalent, holm

    anchor = column[base]
    others = [row for row in column if row != base]
    differences = {row: _difference(column[row], anchor, request, CONFIDENCE) for row in others}
    decided = [row for row in others if min(column[row].least, anchor.least) >= MIN_DECIDED]
    adjusted = dict(zip(decided, holm([differences[row].p for row in decided]), strict=True))
    verdicts = dict.fromkeys(others, "undecided" if request.equivalent else "")
    if request.equivalent:
        margin = request.equivalent.of(scale_of(anchor, request, random)) or math.nan
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
    from dapo_cli.statistics.differences import Difference, difference

    if cell.strata.keys() != other.strata.keys():
        return Difference(math.nan, math.nan, math.nan, math.nan, "")
    scores, base = (list(one.strata.values()) for one in (cell, other))
    asked = {"resamples": request.resamples, "seed": request.seed}
    return difference(scores, base, request.statistic, confidence=confidence, **asked)


def scale_of(anchor: Cell, request: Request, random: Mapping[str, float]) -> float:
    """What a margin in per cent is a share of: the base's return above a random policy's, else the base's value.

    NaN where the base has learned nothing beyond a random policy.
    """
    if not request.measure.is_return:
        return anchor.estimate.value
    above = 0.0
    if request.normalise is None and len(anchor.strata) == 1:
        (env,) = anchor.strata
        above = random.get(env, math.nan)
    scale = anchor.estimate.value - above
    return scale if scale > 0 else math.nan


def without_scale(
    cells: Cells, request: Request, base: Label | None, random: Mapping[str, float], size: Margin | None
) -> list[str]:
    """A note on each environment where a `size` in per cent has nothing to be a share of."""
    if base is None or size is None or not size.relative:
        return []
    anchors = (cell for (row, _), cell in cells.items() if row == base and cell.runs)
    envs = sorted({env for cell in anchors if math.isnan(scale_of(cell, request, random)) for env in cell.strata})
    return [
        f"{size} of nothing: on {env} the base has learned nothing beyond a random policy"
        if env in random
        else f"{size} of what? Nobody told the return of a random policy on {env}: name it in a file, --references FILE"
        for env in envs
    ]
