"""Grouping, and what the writers make of it."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
from collections import Counter
from typing import Any

import pytest

from dapo_cli.analysis.selection import Selection, select
from dapo_cli.analysis.statistics import summarize
from dapo_cli.analysis.tables import Table, cell_text, interval_text, key_text, label_text, pivot
from dapo_cli.analysis.writers import FORMATS
from dapo_cli.errors import BadInput


def run(algo: str = "sac", env: str = "Ant-v4", *, final: float = 1.0, seed: int = 0, **columns: Any) -> dict[str, Any]:
    settings = columns.pop("settings", {})
    row = {"algo": algo, "env": env, "final": final, "seed": seed, "steps": 1000, "tags": []}
    return {**settings, **row, **columns, "settings": sorted(settings)}


def table(*runs: dict[str, Any], rows: str = "algo", cols: str = "env", left_out: Counter[str] | None = None) -> Table:
    keys = [[key for key in names.split(",") if key] for names in (rows, cols)]
    return pivot(Selection(list(runs), left_out or Counter()), *keys)


def test_cells_hold_the_runs_of_their_keys():
    result = table(run(final=1.0), run(final=3.0, seed=1), run("dapo-kl", final=5.0), run(env="Hopper-v4", final=7.0))
    assert {key: (cell.n, cell.mean) for key, cell in result.cells.items()} == {
        (("sac",), ("Ant-v4",)): (2, 2.0),
        (("dapo-kl",), ("Ant-v4",)): (1, 5.0),
        (("sac",), ("Hopper-v4",)): (1, 7.0),
    }
    assert result.row_labels == [("dapo-kl",), ("sac",)]
    assert result.col_labels == [("Ant-v4",), ("Hopper-v4",)]


def test_labels_are_sorted_as_people_count():
    values = [10, 9.5, None, "auto", True, [256, 256], math.nan]
    result = table(*(run(settings={"x": value}) for value in values), run(), rows="x", cols="")
    assert [label for (label,) in result.row_labels] == [True, 9.5, 10, "[256, 256]", "auto", "nan", None]
    assert result.cells[(None,), ()].n == 2


def test_a_note_names_what_shares_a_cell():
    low, high = ({"beta": beta, "m": 10} for beta in (0.1, 0.5))
    runs = [run(settings=low), run(settings=high), run(settings=high, steps=5, seed=1), run("sac", settings={})]
    assert table(*runs).pooled == ("beta", "m", "steps")
    assert table(*runs, rows="algo,beta,steps").pooled == ()
    assert table(*runs[:2], cols="beta").pooled == ()
    assert table(run(), run(env="Hopper-v4"), rows="algo", cols="").pooled == ("env",)
    assert table(run(settings={"log_every": 1}), run(settings={"log_every": 2}, seed=1)).notes() == []
    note = "runs that differ in beta share a cell"
    assert table(*runs[:2]).notes() == [note]
    assert table(*runs[:2]).notes("--by") == [f"{note}: add a key to --by, or filter with --where"]


def test_a_note_says_that_equal_runs_are_no_sample():
    assert table(run(), run(seed=1)).notes() == []
    assert table(run(), run()).notes() == [
        "several equal runs of one seed share a cell, which makes the spread too small"
    ]
    assert table(run(settings={"beta": 1}), run(settings={"beta": 2})).repeated_seeds is False


def test_left_out_runs_are_counted():
    result = table(run(), left_out=Counter(failed=1, running=2))
    assert result.notes() == ["3 runs left out: 1 failed, 2 running"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([5123.4, 4800.2, 5500.9], "5142 ± 351"),
        ([512.34, 480.02], "496.2 ± 22.9"),
        ([5.0], "5.00"),
        ([0.81234, 0.79], "0.8012 ± 0.0158"),
        ([-0.00001, 0.00001], "0.0000 ± 0.0000"),
        ([-1500.0], "-1500"),
        ([1.0, math.nan], "nan"),
    ],
)
def test_cells_show_as_many_digits_as_mean_something(values, text):
    assert cell_text(summarize(values)) == text


def test_intervals():
    assert interval_text(summarize([1.0, 2.0])) == "–"
    assert interval_text(summarize([2.0, 4.0, 9.0])) == "[-3.96, 13.96]"


def test_texts_of_labels():
    assert key_text(None) == "–"
    assert key_text(True) == "true"
    assert key_text(3e-4) == "0.0003"
    assert label_text("algo", "sac") == "sac"
    assert label_text("tag", None) == "no tag"
    assert label_text("beta", 0.5) == "beta = 0.5"


HOSTILE = r"a&b_c%d$e#f{g}h~i^j\k|l<m>n" + "\x1b\n"


RAGGED = (run(final=1.0), run(final=3.0, seed=1), run(env=HOSTILE, final=math.nan), run("dapo-kl", final=5.0))


def test_writers_latex():
    assert FORMATS["latex"](table(*RAGGED)).splitlines() == [
        "% Final return: mean ± standard deviation over runs, their number n in parentheses.",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"algo & Ant-v4 & a\&b\_c\%d\$e\#f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
        r"\textbar{}l\textless{}m\textgreater{}n\textbackslash{}x1b\textbackslash{}n \\",
        r"\midrule",
        r"dapo-kl & $5.00$ (1) & -- \\",
        r"sac & $2.00 \pm 1.41$ (2) & nan (1) \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_writers_markdown():
    lines = FORMATS["markdown"](table(*RAGGED, left_out=Counter(failed=1))).splitlines()
    assert lines[0].startswith(r"| algo | Ant-v4 | a&b_c%d$e#f{g}h~i^j\\k\|l")
    assert lines[1:4] == [
        "| :--- | ---: | ---: |",
        "| dapo-kl | 5.00 (1) | – |",
        "| sac | 2.00 ± 1.41 (2) | nan (1) |",
    ]
    assert lines[-1] == "Note: 1 run left out: 1 failed."


def test_writers_html_is_well_formed_and_escaped():
    opened: list[str] = []
    texts: list[str] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, _: Any) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

        def handle_data(self, data: str) -> None:
            if data.strip():
                texts.append(data)

    reader = Reader()
    reader.feed(FORMATS["html"](table(*RAGGED)))
    assert opened == []
    assert r"a&b_c%d$e#f{g}h~i^j\k|l<m>n\x1b\n" in texts
    assert texts[-3:] == ["sac", "2.00 ± 1.41 (2)", "nan (1)"]


def test_writers_csv_and_json_have_full_precision():
    result = table(run(final=1 / 3), run(final=2 / 3, seed=1), run("dapo-kl", final=math.nan))
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))
    assert rows[1] == {
        "algo": "sac",
        "env": "Ant-v4",
        "n": "2",
        "mean": "0.5",
        "std": repr(summarize([1 / 3, 2 / 3]).std),
        "low": "",
        "high": "",
    }
    assert rows[0]["mean"] == ""
    assert json.loads(FORMATS["json"](result))[0]["mean"] is None


@pytest.mark.parametrize("format_", FORMATS)
def test_writers_the_order_of_the_runs_changes_no_byte(format_):
    runs = [run(algo, env, final=final, seed=final) for algo in ("b", "a") for env in ("y", "x") for final in (1, 2, 3)]
    assert FORMATS[format_](table(*runs)) == FORMATS[format_](table(*runs[::-1]))


def test_writers_captions():
    assert "Final return, one run per cell." in FORMATS["markdown"](table(run()))
    assert "over n = 2 runs per cell." in FORMATS["markdown"](table(run(), run(seed=1)))


def test_selection_counts_completed_runs_and_says_what_it_left_out(results, record_run):
    good = record_run("dapo-kl", final=[1.0, 3.0], settings={"beta": 0.5, "hidden_sizes": [8]}, tags=["a"])
    record_run(final=None)
    record_run(status="failed")
    record_run(status="running")
    chosen = select(results)
    (only,) = chosen.runs
    assert (only["id"], only["final"], only["beta"], only["tags"]) == (good, 2.0, 0.5, ["a"])
    assert only["settings"] == ["beta", "hidden_sizes"]
    assert chosen.notes() == ["3 runs left out: 1 completed without an evaluation, 1 failed, 1 interrupted"]
    assert select(results, "algo = 'dapo-kl'").notes() == []
    chosen.check_keys("--by", ["beta", "tag", "steps"])
    with pytest.raises(BadInput, match="no run has a key 'final'"):
        chosen.check_keys("--by", ["final"])
