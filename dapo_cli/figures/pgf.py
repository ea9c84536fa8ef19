"""A figure as a PGF picture, for `\\input` into a LaTeX document, in whose own font its text then stands.

matplotlib's own backend runs TeX to measure each text; here a text is taken to be as wide as in the font of the other
formats, which is a wide one. So no TeX is needed, and the file is the same on every machine.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.export.writers import tex
from dapo_cli.terminal.console import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def picture(figure: Figure, description: str) -> str:
    """The text of the file; `description` is a comment in it. The figure has its layout already."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pgf import RendererPgf

    canvas = FigureCanvasAgg(figure)
    measure = canvas.get_renderer()  # type: ignore[no-untyped-call]

    class Renderer(RendererPgf):  # type: ignore[misc,no-any-unimported,unused-ignore]
        def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> Any:
            return measure.get_text_width_height_descent(s, prop, ismath)

        def draw_text(self, gc: Any, x: Any, y: Any, s: str, prop: Any, *others: Any, **more: Any) -> None:
            super().draw_text(gc, x, y, tex_text(s), prop, *others, **more)  # type: ignore[no-untyped-call]

    file = io.StringIO()
    width, height = figure.get_size_inches()
    file.write(r"% Needs: \usepackage{pgf}. In the document: \input{this file}" + "\n")
    file.write(f"% {' '.join(visible(description).split())}\n")
    file.write(r"\begingroup\makeatletter\begin{pgfpicture}%" + "\n")
    file.write(rf"\pgfpathrectangle{{\pgfpointorigin}}{{\pgfqpoint{{{width:f}in}}{{{height:f}in}}}}%" + "\n")
    file.write(r"\pgfusepath{use as bounding box, clip}%" + "\n")
    figure.draw(Renderer(figure, file))  # type: ignore[no-untyped-call]
    file.write(r"\end{pgfpicture}\makeatother\endgroup" + "\n")
    return file.getvalue()


def tex_text(words: str) -> str:
    """`words` as pdflatex understands them without any package."""
    parts = re.split(f"([{_SUPERSCRIPTS}])", words.replace("½", "1/2"))
    return "".join(
        rf"\textsuperscript{{{_SUPERSCRIPTS.index(part)}}}" if index % 2 else tex.text(part)
        for index, part in enumerate(parts)
    )
