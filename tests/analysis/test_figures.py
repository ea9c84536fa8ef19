"""What figures share: text that fits, the widths of a paper, PGF that TeX reads."""

from __future__ import annotations

import re

import pytest

from dapo_cli.figures import layout, pgf, rows, style, words
from dapo_cli.figures.layout import COLUMN, PAGE, Paper


def test_text_is_wrapped_to_its_width():
    text = "one two three " + "x" * 60 + " 95 % of n = 5"
    with style.styled():
        lines = layout.wrapped(text, 8, 1.0).split("\n")
        assert all(layout.text_width(one, 8) <= 1.0 for one in lines)
    assert "".join(lines).replace("\xa0", " ").replace(" ", "") == text.replace(" ", "")
    assert not any(one.startswith(("%", "=")) for one in lines)


def test_a_long_name_is_broken_at_its_dashes():
    with style.styled():
        assert layout.wrapped("a-name-of-many-parts-with-dashes", 8, 1.0).split("\n")[0].endswith("-")


def test_a_name_for_which_there_is_no_room_loses_its_middle():
    with style.styled():
        short = layout.shortened("begin" + "x" * 60 + "end", 8, 1.0, 1)
        assert layout.text_width(short, 8) <= 1.0
        assert layout.shortened("short", 8, 1.0, 1) == "short"
    assert re.fullmatch(r"begin?x*…x*end", short)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 12])
@pytest.mark.parametrize("width", ["", COLUMN, PAGE])
def test_a_figure_is_as_wide_as_was_asked(count, width):
    grid = layout.grid_of(count, Paper(width))
    assert grid.rows * grid.columns >= count > (grid.rows - 1) * grid.columns
    expected = layout.WIDTHS[width or (COLUMN if count == 1 else PAGE)]
    assert grid.columns * grid.width == pytest.approx(expected)


def test_many_rows_are_low_and_fit_on_a_page():
    with style.styled():
        names = rows.fitted(["algorithm-with-a-long-name" * 3] * rows.MOST_ROWS, 1.0)
        assert max(layout.text_width(text, style.NORMAL) for text in names.texts) <= 1.0
    assert names.height * rows.MOST_ROWS < 9
    assert names.height >= style.NORMAL / 72  # not one over the other


def test_labels_say_in_what_they_differ_and_what_they_share():
    labels = [("kl", 0.1, 10), ("kl", 0.5, 10), ("kl", None, 10)]
    keys, symbols = ("algo", "beta", "m"), {"beta": "β"}
    assert list(words.names(labels, keys, symbols).values()) == ["β = 0.1", "β = 0.5", "no beta"]
    assert words.shared(labels, keys, symbols) == "kl, m = 10"
    assert words.shared(labels[:1], keys, symbols) == ""
    assert list(words.names(labels[:1], keys, symbols).values()) == ["kl"]


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a_b^c $x$ 5 %", r"a\_b\textasciicircum{}c \$x\$ 5 \%"),
        ("β (×10⁶)", r"$\beta$ ($\times$10\textsuperscript{6})"),
        ("−0.5, ½", r"$-$0.5, 1/2"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
    ],
)
def test_text_is_what_pdflatex_understands(text, tex):
    assert pgf.tex_text(text) == tex


def test_a_description_stays_in_its_comment():
    def draw():
        return layout.panels_of(layout.grid_of(1, Paper()), 1)[0]

    content = style.rendered(draw, ["pgf"], "one\n\\input{two}\rthree")["pgf"].decode()
    (line,) = [line for line in content.splitlines() if "three" in line]
    assert line.startswith("% one")


def test_the_last_digits_of_the_layout_change_no_byte():
    from matplotlib.figure import Figure

    def draw(noise):
        figure = Figure()
        figure.add_axes((0.1 + noise, 0.1, 0.8, 0.8 - noise)).plot([0, 1], [1, 0])
        return figure

    one, other = (style.rendered(lambda noise=noise: draw(noise), style.FORMATS, "") for noise in (0.0, 1e-7))
    assert one == other
