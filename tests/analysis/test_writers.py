"""Tables as text: what each format says, and that no name breaks out of it."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re
import shlex

import pytest

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.export.parse import tables_in
from dapo_cli.analysis.export.sheets import Style
from dapo_cli.analysis.export.table_export import make
from dapo_cli.analysis.export.writers import FORMATS, tex
from dapo_cli.analysis.export.writers.layout import comment, uncomment
from dapo_cli.analysis.selection.measures import Measure
from dapo_cli.analysis.selection.selected import Choice

HOSTILE = "a&b_c%d$e#f{g}h~i^j\\k|l<m>n-->o`p[q](r)*s*<script>中é\x1b\n"
READ = ("latex", "markdown", "html")


@pytest.fixture
def ragged(record_run):
    """Two algorithms and two environments: three runs, one, one that returned NaN, none."""
    for seed, final in enumerate((1000.0, 1010.0, 1023.0)):
        record_run("sac", seed=seed, final=[final])
    record_run("dapo-kl", final=[5.0], settings={"beta": 0.5})
    record_run("sac", HOSTILE, final=[math.nan])


def body(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_markdown(write, ragged):
    rows = body(write("markdown"))
    assert rows[1:] == [
        "| :--- | ---: | ---: |",
        "| dapo-kl | 5 (1) | – |",
        "| sac | 1011 [982, 1040] (3) | NaN (1)<sup>a</sup> |",
    ]
    assert "\na: 1 of 1 scores is not a number\n" in write("markdown")
    assert "| sac | 1011 ± 12 (3) |" in write("markdown", spread="std")
    assert "| sac | 1011.00 (3) |" in write("markdown", spread="none", digits=2)


def test_latex(write, record_run):
    for seed, final in enumerate((1000.0, 1010.0, 1023.0)):
        record_run("sac", seed=seed, final=[final])
    record_run("dapo-kl", final=[5.0])
    record_run("sac", "a_b", final=[math.nan])
    text = write("latex", spread="std")
    assert text.startswith("% Needs in the preamble: \\usepackage{booktabs} \\usepackage{siunitx}\n\\begin{table}\n")
    rows = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    assert rows == [
        r"dapo-kl & 5 &  & 1 &  & {\textendash} &  &  &  \\",
        r"sac & 1011 & $\pm$ 12 & 3 &  & {NaN} &  & 1 & \textsuperscript{a} \\",
    ]
    assert r"\textsuperscript{a}\,1 of 1 scores is not a number\par" in text
    assert r"algo & \multicolumn{4}{c}{HalfCheetah-v4} & \multicolumn{4}{c}{a\_b} \\" in text


def test_latex_that_is_too_wide_is_set_in_blocks(write, record_run):
    for env in ("Ant-v4", "HalfCheetah-v4", "Hopper-v4", "Humanoid-v4", "Walker2d-v4"):
        for seed in range(3):
            record_run("sac", env, seed=seed, final=[1000.0 + seed])
    rows = write("latex").partition("\\midrule\n")[2].splitlines()[:4]
    assert rows == [
        r"\multicolumn{3}{@{}l}{\emph{Ant-v4}} \\",
        r"sac & 1001 & [999, 1003] \\",
        r"\addlinespace",
        r"\multicolumn{3}{@{}l}{\emph{HalfCheetah-v4}} \\",
    ]
    assert "emph" not in write("latex", spread="none")


def test_best_is_bold_and_equal_counts_stand_in_the_caption(write, record_run):
    for seed in range(5):
        record_run("sac", seed=seed, final=[100.0 + seed])
        record_run("ampo", seed=seed, final=[10.0 + seed])
    assert body(write("markdown"))[2:] == ["| ampo | 12.0 [10.0, 14.0] |", "| sac | **102.0** [100.0, 104.0] |"]
    assert "mean over n = 5 runs" in write("markdown")
    assert r"sac & \best 102.0 & [100.0, 104.0] \\" in write("latex")
    assert "S[table-format=3.1]" in write("latex")
    assert "<strong>102.0</strong>" in write("html")


@pytest.mark.parametrize("format_", FORMATS)
def test_an_ablation_has_its_differences_in_every_format(write, record_run, format_):
    for seed in range(5):
        record_run("dapo-kl", seed=seed, final=[100.0 + seed], settings={"beta": 0.5})
        record_run("dapo-kl", seed=seed, final=[130.0 + seed * seed], settings={"beta": 0.1})
    text = write(format_, base="beta = 0.5", vary=("beta",))
    (found,) = tables_in(text)
    (cell,) = [cell for labels, cell in found.cells.items() if "0.1" in labels]
    shown = " ".join(cell.fields.values())
    assert "34" in shown
    assert cell.n == 5
    interval = ["25.9", "42.1"] if format_ in READ else ["25.909", "42.090"]  # Welch's
    assert all(bound in shown for bound in interval), shown


@pytest.mark.parametrize("format_", READ)
def test_no_name_breaks_out(write, ragged, format_):
    where = f"note != '--> {HOSTILE}\ndapo table 00000000 ends'"
    text = write(format_, choice=Choice(where=where))
    assert "\x1b" not in text
    assert "<script>" not in re.sub("<!--.*?-->", "", text, flags=re.DOTALL) or format_ == "latex"
    (found,) = tables_in(text)
    assert where in shlex.split(found.command)
    assert [cell.n for cell in found.cells.values() if cell.key] == [1, 3, 1]


def test_html_is_well_formed_and_every_cell_has_its_key(write, ragged):
    opened, texts, keys = [], [], []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            opened.append(tag)
            keys.extend(value for name, value in attributes if name == "data-key")

        def handle_endtag(self, tag):
            assert opened.pop() == tag

        def handle_data(self, data):
            texts.append(data)

    Reader().feed(write("html"))
    assert opened == []
    assert HOSTILE.replace("\x1b", "\\x1b").replace("\n", "\\n") in texts
    (export,) = {key.partition(".")[0] for key in keys}
    assert [key.removeprefix(export) for key in keys] == [".1.1", ".2.1", ".2.2"]


def test_csv_and_json_have_full_precision(write, record_run):
    record_run(final=[1 / 3])
    record_run(final=[2 / 3], seed=1)
    (row,) = csv.DictReader(io.StringIO(write("csv")))
    (cell,) = json.loads(write("json"))["cells"]
    assert {name: row[name] for name in ("algo", "env", "n", "value", "low", "notes")} == {
        "algo": "sac",
        "env": "HalfCheetah-v4",
        "n": "2",
        "value": "0.5",
        "low": "",
        "notes": "",
    }
    assert float(row["std"]) == cell["std"] == pytest.approx(1 / 18**0.5, abs=1e-15)
    assert cell["low"] is None
    assert cell["key"] == row["key"]
    assert (
        row["command"] == "dapo table --rows algo --cols env --measure final --stat mean --format csv --spread interval"
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_same_input_same_bytes_and_other_data_another_key(write, record_run, ragged, format_):
    first = write(format_)
    assert write(format_) == first
    record_run("dapo-kl", seed=1, final=[5.0])
    key = re.compile(r"[0-9a-f]{8}(?=\.1\.1| begins)")
    assert key.search(write(format_))[0] != key.search(first)[0]


def test_footnotes_are_lettered_as_they_are_read(write, record_run):
    record_run("sac", seed=0, final=[100.0], dirty=True)
    record_run("ampo", seed=0, final=[math.nan])
    record_run("ampo", "Hopper-v4", seed=0, final=[100.0], dirty=True)
    text = write("markdown")
    assert body(text)[2:] == ["| ampo | NaN<sup>a</sup> | 100.0<sup>b</sup> |", "| sac | 100.0<sup>b</sup> | – |"]
    assert "a: 1 of 1 scores is not a number\n\nb: all of uncommitted code\n" in text


def test_steps_are_whole_also_where_the_return_is_never_reached(write, record_run):
    for seed in range(8):
        record_run(seed=seed, final=[100.0 if seed < 4 else 0.0])
    text = write("markdown", measure=Measure("steps-to", 50.0), statistic="median")
    assert body(text)[2] == "| sac | ∞ [1000, ∞]<sup>a</sup> |"


def test_the_key_is_the_same_in_every_format(write, ragged):
    assert len({tables_in(write(format_))[0].export for format_ in FORMATS}) == 1


@pytest.mark.parametrize("format_", READ)
def test_a_table_is_read_back_as_it_was_written(write, results, ragged, format_):
    made = make(results, Request(), Style(format_))
    page = f"# A page\n\n{made.text}\nSome words.\n\n{made.text}"
    first, second = tables_in(page)
    assert first == second
    assert (first.export, first.command) == (made.sheet.export, made.sheet.command)
    told = [cell for cell in first.cells.values() if cell.key]
    assert [cell.key for cell in told] == [made.sheet.key(*at) for at in made.sheet.entries]
    assert [cell.checksum for cell in told] == [entry.checksum for entry in made.sheet.entries.values()]
    assert "not a number" in first.beside


@pytest.mark.parametrize("text", [HOSTILE, "a -- b --> c --!> d", "\\u003e", "\\", "β\u2028\udc80😀\x00", ""])
def test_comments_are_one_line_and_give_back_what_they_hold(text):
    assert "\n" not in comment(text)
    assert "-->" not in comment(text)
    assert "--!>" not in comment(text)
    assert uncomment(comment(text)) == text


def test_words_in_tex():
    assert tex.text("a_b & 5 % -- [x] é ß 中") == r"a\_b \& 5 \% -{}- {[}x] \'{e} \ss{} {[}U+4E2D]"
    assert tex.text("β = 0.5, m = 3, harm", {"β", "m"}) == r"$\beta$ = 0.5, $m$ = 3, harm"
    assert tex.text("\\input{x}", {"\\input{x}"}) == r"\textbackslash{}input\{x\}"
    assert tex.math("τ₀") == r"$\tau _{0}$"
    assert tex.prose("n = 3 runs, 95 % interval") == r"$n$ = 3 runs, 95\,\% interval"
    assert tex.number("[-4, ∞]") == r"[$-$4, $\infty$]"
