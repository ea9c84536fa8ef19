"""A figure as a PGF picture, for `\\input` into a LaTeX document, in whose own font its text then stands.

matplotlib's own backend runs TeX to measure each text; here a text is taken to be as wide as in the font of the other
formats, which is wider than most. So no TeX is needed, and the file is the same on every machine.
"""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING, Any

from dapo_cli.console import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\N{NBSP}": "~",
    "–": "--",
    "…": r"\ldots{}",
    "½": "1/2",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{
        character: rf"\ensuremath{{{command}}}"
        for character, command in {
            "−": "-", "×": r"\times", "±": r"\pm", "≥": r"\ge", "≤": r"\le", "∞": r"\infty", "·": r"\cdot",
        }.items()
    },
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", (rf"\textsuperscript{{{digit}}}" for digit in range(10)), strict=True)),
}  # fmt: skip
_UNNAMED_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΧο"  # TeX writes these in Latin letters
_ROMAN = dict(zip(_UNNAMED_GREEK, "ABEZHIKMNOPTXo", strict=True))
_LAST_LATIN = "ſ"  # what pdflatex knows of Unicode without a package


def picture(figure: Figure, description: str) -> str:
    """The text of the file; `description` is a comment in it. The figure is only good for this afterwards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pgf import RendererPgf

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # puts everything in its place
    figure.set_layout_engine("none")
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


def tex_text(text: str) -> str:
    """`text` as pdflatex understands it without any package; "?" for a character that it does not know."""
    return "".join(map(_tex_character, text))


def _tex_character(character: str) -> str:
    if character in _TEX:
        return _TEX[character]
    if " " <= character <= "~" or ("¡" < character <= _LAST_LATIN and character.isalpha()):
        return character
    if character in _ROMAN:
        return rf"\ensuremath{{\mathrm{{{_ROMAN[character]}}}}}"
    kind, _, letter = unicodedata.name(character, "").rpartition(" LETTER ")
    if kind in ("GREEK SMALL", "GREEK CAPITAL") and letter.isalpha() and letter != "FINAL SIGMA":
        name = {"LAMDA": "LAMBDA"}.get(letter, letter).lower()
        return rf"\ensuremath{{\{name if kind == 'GREEK SMALL' else name.capitalize()}}}"
    return "?"
