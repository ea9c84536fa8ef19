"""What every figure shares: its look, colours that everybody can tell apart, and files that repeat to the byte."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dapo_cli.console import visible
from dapo_cli.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

FORMATS = ("pdf", "svg", "png")

# Okabe and Ito's palette, with grey for its yellow, which is too light for a line. Five styles of dashes, as 5 and 8
# have no common factor: a colour comes back in another style, 40 lines differ.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)), (0, (2.2, 1, 2.2, 1, 1, 1)))
MOST_LINES = len(COLOURS) * len(DASHES)

SMALL = 6.0  # points: the remarks under a figure
_GAP = 0.06  # inches between the parts of a figure

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure is the same everywhere
    "font.size": 8,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # TrueType: publishers refuse the default, Type 3
    "savefig.dpi": 300,
    "svg.hashsalt": "dapo",
    "text.parse_math": False,  # a name may hold a dollar
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


def format_of(path: Path) -> str:
    """The format that the name of a figure's file asks for; raises BadInput for an unknown one."""
    format_ = path.suffix.removeprefix(".").lower()
    if format_ not in FORMATS:
        raise BadInput(f"--out: {path} does not say which kind of figure: let its name end in .{', .'.join(FORMATS)}")
    return format_


def rendered(draw: Callable[[], Figure], formats: Iterable[str], description: str) -> dict[str, bytes]:
    """The figure that `draw` makes, as a file of each format; the same figure gives the same bytes.

    `description` goes into the file's metadata. Each format is drawn anew: saving a figure may move its parts.
    """
    return {format_: _rendered(draw, format_, visible(description)) for format_ in formats}


def line_look(index: int) -> dict[str, Any]:
    """Colour and style of the line with this number, no two of which share both up to MOST_LINES."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def grid_of(panels: int) -> tuple[int, int, float, float]:
    """Rows and columns for so many panels, and the width and height in inches of one: at most a page's width."""
    columns = {1: 1, 2: 2, 4: 2}.get(panels, 3)
    width, height = {1: (3.4, 2.1), 2: (2.75, 1.9), 3: (2.3, 1.7)}[columns]
    return -(-panels // columns), columns, width, height


def unit_of(largest: float) -> tuple[int, str]:
    """The unit of an axis of steps that ends at `largest`, and what the axis says of it."""
    for unit, text in ((10**9, "10⁹"), (10**6, "10⁶"), (10**3, "10³")):
        if largest >= unit:
            return unit, f" (×{text})"
    return 1, ""


def put_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], remarks: str) -> None:
    """Make the figure taller by a legend and remarks under its panels, each as wide as the figure has room for."""
    width, height = figure.get_size_inches()
    text = figure.text(
        width / 2,
        _GAP,
        wrapped(remarks, SMALL, width - 2 * _GAP),
        transform=figure.dpi_scale_trans,
        size=SMALL,
        color="#444444",
        ha="center",
        va="bottom",
        linespacing=1.25,
    )
    below = _inches(figure, text)[1] + 2 * _GAP
    legend = _legend(figure, handles, [wrapped(label, 7, width - 0.6) for label in labels], below)
    below += _inches(figure, legend)[1] + _GAP
    figure.set_size_inches(width, height + below)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, below / (height + below), 1, height / (height + below)))  # type: ignore[call-arg]


def wrapped(text: str, size: float, width: float) -> str:
    """`text` in lines of at most `width` inches at `size` points, broken at blanks, or within a word that is longer.

    A number stays with its unit and with its name.
    """
    lines = [""]
    for word in text.replace(" = ", "\N{NBSP}=\N{NBSP}").replace(" %", "\N{NBSP}%").split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(line, size) <= width:
            lines[-1] = line
            continue
        lines.append("")
        for character in word:
            if _width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return "\n".join(line for line in lines if line)


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


def _width(text: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)
    return float(width) / 72


def _rendered(draw: Callable[[], Figure], format_: str, description: str) -> bytes:
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Subject": description},
        "svg": {"Date": None, "Description": description},
        "png": {"Description": description},
    }
    file = io.BytesIO()
    with _style():
        draw().savefig(file, format=format_, metadata=metadata[format_])
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Our settings over matplotlib's own, whatever the user's matplotlibrc says."""
    # Without a home matplotlib warns that its cache is temporary.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ.pop("MPLBACKEND", None)  # of a notebook, perhaps: a file needs no window
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield
