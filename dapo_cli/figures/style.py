"""What every figure looks like, in colours that everybody can tell apart, and its files, which repeat to the byte."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dapo_cli.errors import BadInput
from dapo_cli.terminal.console import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "png", "pgf")

# Okabe and Ito's palette, with grey for its yellow, which is too light for a line. Five styles of dashes, as 5 and 8
# have no common factor: a colour comes back in another style, 40 lines differ. So do seven markers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)), (0, (2.2, 1, 2.2, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_LINES = len(COLOURS) * len(DASHES)

NORMAL, SMALL = 7.0, 6.0  # points: legends, and the remarks under a figure
GREY = "#444444"
ROUND = [1, 2, 2.5, 5, 10]  # numbers for ticks

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
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # TrueType: publishers refuse the default, Type 3
    "pgf.rcfonts": False,  # the document's own font
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

    `description` goes into the file's metadata. Each format is drawn anew, as saving may change a figure.
    """
    return {format_: _rendered(draw, format_, visible(description)) for format_ in formats}


def line_look(index: int) -> dict[str, Any]:
    """Colour and style of the line with this number, no two of which share both up to MOST_LINES."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def check_lines(count: int) -> None:
    """Raise BadInput for more lines than can be told apart."""
    if count > MOST_LINES:
        raise BadInput(
            f"{count} lines cannot be told apart in one figure: "
            f"choose at most {MOST_LINES} with --where, or pool configurations with --pool-over"
        )


@contextmanager
def styled() -> Iterator[None]:
    """Our settings over matplotlib's own, whatever the user's matplotlibrc says; a figure is drawn inside."""
    # Without a home matplotlib warns that its cache is temporary.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ.pop("MPLBACKEND", None)  # of a notebook, perhaps: a file needs no window
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _settle(figure: Figure) -> None:
    """Lay the figure out for good, on round numbers: the solver's last digits are not the same each time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel in figure.axes:
        panel.set_position([round(number, 4) for number in panel.get_position().bounds])  # type: ignore[arg-type]


def _rendered(draw: Callable[[], Figure], format_: str, description: str) -> bytes:
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Subject": description},
        "svg": {"Date": None, "Description": description},
        "png": {"Description": description},
    }
    with styled():
        figure = draw()
        _settle(figure)
        if format_ == "pgf":
            from dapo_cli.figures.pgf import picture

            return picture(figure, description).encode()
        file = io.BytesIO()
        figure.savefig(file, format=format_, metadata=metadata[format_])
    return file.getvalue()
