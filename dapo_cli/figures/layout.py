"""Where things are in a figure: panels in the widths of a paper, and below them the legend and the caption."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.figures.style import GREY, NORMAL, SMALL
from dapo_cli.terminal.console import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

COLUMN, PAGE = "column", "page"
WIDTHS = {COLUMN: 3.4, PAGE: 7.0}  # inches: of a column and of the text in a paper of two columns

_GAP = 0.06  # inches between the parts of a figure
_ROOM = 0.92  # of its width is filled by a caption: the small letters of a PGF picture's document may be wider


class Paper(NamedTuple):
    """How a figure stands in a paper: its width (COLUMN, PAGE, "" for what suits it); whether its caption is in it."""

    width: str = ""
    caption: bool = True


class Grid(NamedTuple):
    """Panels in rows and columns; width and height of one in inches."""

    rows: int
    columns: int
    width: float
    height: float


def grid_of(panels: int, paper: Paper) -> Grid:
    """The grid for so many panels; one alone is as wide as a column unless a page is asked for."""
    if (paper.width or (COLUMN if panels == 1 else PAGE)) == COLUMN:
        columns = min(panels, 2)
        height = {1: 2.1, 2: 1.5}[columns]
        return Grid(-(-panels // columns), columns, WIDTHS[COLUMN] / columns, height)
    columns = {1: 1, 2: 2, 4: 2}.get(panels, 3)
    height = {1: 2.8, 2: 2.1, 3: 1.7}[columns]
    return Grid(-(-panels // columns), columns, WIDTHS[PAGE] / columns, height)


def panels_of(grid: Grid, count: int) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in a grid, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(grid.columns * grid.width, grid.rows * grid.height + 0.2), layout="constrained")
    panels = figure.subplots(grid.rows, grid.columns, squeeze=False).ravel().tolist()
    for panel in panels[count:]:
        panel.remove()
    return figure, panels[:count]


def name_axes(panels: Sequence[Axes], grid: Grid, xlabel: str, ylabel: str) -> None:
    """Label the axes at the lower and the left edge of the grid."""
    for index, panel in enumerate(panels):
        if index + grid.columns >= len(panels):  # nothing below it
            panel.set_xlabel(wrapped(visible(xlabel), 8, grid.width - 0.3))
        if index % grid.columns == 0:
            panel.set_ylabel(wrapped(visible(ylabel), 8, grid.height))


def title(panel: Axes, text: str, grid: Grid, *, pad: float = 5) -> None:
    """The panel's title in as many lines as it needs."""
    panel.set_title(wrapped(visible(text), 8, grid.width - 0.3), pad=pad)


def put_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], caption: str) -> None:
    """Make the figure taller by a legend and a caption under its panels, each as wide as the figure has room for."""
    width, height = figure.get_size_inches()
    below = 0.0
    if caption:
        text = figure.text(
            _GAP,
            _GAP,
            wrapped(visible(caption), SMALL, (width - 2 * _GAP) * _ROOM),
            transform=figure.dpi_scale_trans,
            size=SMALL,
            color=GREY,
            va="bottom",
            linespacing=1.25,
        )
        below = _inches(figure, text)[1] + 2 * _GAP
    if labels:
        legend = _legend(figure, handles, [wrapped(visible(label), NORMAL, width - 0.6) for label in labels], below)
        below += _inches(figure, legend)[1] + _GAP
    figure.set_size_inches(width, height + below)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, below / (height + below), 1, height / (height + below)))  # type: ignore[call-arg]


def wrapped(text: str, size: float, width: float) -> str:
    """`text` in lines of at most `width` inches at `size` points, broken at blanks, or within a longer word.

    A number stays with its unit and with its name, a footnote's letter with what is before it.
    """
    lines = [""]
    text = text.replace(" = ", "\N{NBSP}=\N{NBSP}").replace(" %", "\N{NBSP}%")
    for word in re.sub(r"; (\w\))", ";\N{NBSP}\\1", text).split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(line, size) <= width:
            lines[-1] = line
            continue
        lines.append("")
        for part in re.findall(r"[^-/_]+[-/_]*|[-/_]+", word):
            if text_width(lines[-1] + part, size) > width:
                lines.append("")
            for character in part:
                if text_width(lines[-1] + character, size) > width:
                    lines.append("")
                lines[-1] += character
    return "\n".join(line for line in lines if line)


def shortened(text: str, size: float, width: float, lines: int) -> str:
    """`wrapped`, with as much left out in its middle as does not fit in so many lines."""

    def without(cut: int) -> str:
        middle = (len(text) - cut) // 2
        return wrapped(f"{text[:middle]}…{text[middle + cut :]}" if cut else text, size, width)

    cuts = range(max(1, len(text) - 1))
    return without(bisect_left(cuts, 1, hi=len(cuts) - 1, key=lambda cut: without(cut).count("\n") < lines))


@cache
def text_width(text: str, size: float) -> float:
    """Of one line, in inches."""
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, _font(size), False)
    return float(width) / 72


@cache
def _font(size: float) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=size)


def _legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], below: float) -> Legend:
    """The legend with the fewest rows that fits, its lower edge `below` inches above the figure's."""
    width = figure.get_size_inches()[0]
    for columns in range(len(labels), 0, -1):
        if columns > 1 and -(-len(labels) // columns) == -(-len(labels) // (columns - 1)):
            continue  # as many rows with a column less
        legend = figure.legend(
            handles,
            labels,
            loc="lower center",
            bbox_to_anchor=(width / 2, below),
            bbox_transform=figure.dpi_scale_trans,
            ncols=columns,
            borderaxespad=0,
            borderpad=0,
            columnspacing=1.6,
            handlelength=2.6,
        )
        legend.set_in_layout(False)
        if columns == 1 or _inches(figure, legend)[0] <= width - 2 * _GAP:
            break
        legend.remove()
    return legend


def _inches(figure: Figure, artist: Any) -> tuple[float, float]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    extent = artist.get_window_extent(FigureCanvasAgg(figure).get_renderer())  # type: ignore[no-untyped-call]
    return extent.width / figure.dpi, extent.height / figure.dpi
