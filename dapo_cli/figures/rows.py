"""Rows with intervals: what the figures over all environments share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.across_environments import Overall
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.errors import BadInput
from dapo_cli.figures import layout, style, words
from dapo_cli.statistics.estimates import Estimate
from dapo_cli.terminal.console import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 66  # all pairs of 12
MANY_ROWS = 20


def row_texts(overall: Overall, *, numbers: bool = True) -> dict[Label, str]:
    """The rows' names with their numbers of runs, where these differ, and the letters of their footnotes."""
    counts = {label: overall.runs(label) for label in overall.labels}
    several = numbers and len(set(counts.values())) > 1
    texts = {}
    for label, text in words.names(overall.labels, overall.table.rows, overall.table.symbols).items():
        letters = ", ".join(map(cell_text.letter, sorted(overall.marks[label])))
        more = [f"n = {counts[label]}"] * several + [letters] * bool(letters)
        texts[label] = f"{text} ({'; '.join(more)})" if more else text
    return texts


def check_rows(count: int, option: str) -> None:
    """Raise BadInput for more rows than a page holds."""
    if count > MOST_ROWS:
        raise BadInput(f"{option}: {count} rows do not fit on a page: choose at most {MOST_ROWS}")


def draw_intervals(panel: Axes, estimates: Sequence[Estimate], colours: Sequence[str]) -> None:
    """For each row a bar from low to high and a line at the value, as far as there are any; the first on top."""
    for index, (estimate, colour) in enumerate(zip(estimates, colours, strict=True)):
        if math.isfinite(estimate.low) and math.isfinite(estimate.high):
            width = estimate.high - estimate.low
            panel.barh(index, width, 0.56, estimate.low, color=colour, alpha=0.55, linewidth=0, zorder=2)
        if math.isfinite(estimate.value):
            panel.vlines(estimate.value, index - 0.36, index + 0.36, colors="black", linewidth=1.3, zorder=3)
        else:
            place: Any = panel.get_yaxis_transform()
            panel.text(0.02, index, "no value", transform=place, size=style.SMALL, color=style.GREY, va="center")
    panel.use_sticky_edges = False  # a bar ends before the panel does
    panel.margins(x=0.06)
    panel.set_ylim(len(estimates) - 0.4, -0.6)
    panel.grid(False, axis="y")


class Names(NamedTuple):
    """The rows' names as they are written, how wide they are, and how high a row is, in inches."""

    texts: list[str]
    width: float
    height: float


def fitted(texts: Sequence[str], width: float) -> Names:
    """Names in at most `width` inches; many rows are low, and long names then lose their middle."""
    many = len(texts) > MANY_ROWS
    wrapped = [layout.shortened(visible(text), style.NORMAL, width, 1 if many else 2) for text in texts]
    widest = max(layout.text_width(line, style.NORMAL) for text in wrapped for line in text.split("\n"))
    height = max(0.125, min(0.19, 8 / len(texts))) * (1.3 if any("\n" in text for text in wrapped) else 1.0)
    return Names(wrapped, widest, height)


def name_rows(panel: Axes, texts: Sequence[str]) -> None:
    """Write the names beside the rows."""
    panel.set_yticks(range(len(texts)), texts)
    panel.tick_params(axis="y", length=0)


def colours(count: int) -> list[str]:
    """One a row."""
    return [style.COLOURS[index % len(style.COLOURS)] for index in range(count)]
