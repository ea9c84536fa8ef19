"""dapo table as a user types it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from store.records import exports


def test_markdown_is_the_default(dapo, family):
    outcome = dapo("table", "--where", "algo = sac", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("<!--\ndapo table ")
    assert "\n| algo | HalfCheetah-v4 |\n| :--- | ---: |\n| sac | 101.0 [98.5, 103.5] |\n" in outcome.out
    assert "Final return: mean over n = 3 runs; a run's score is the mean return of its last evaluation" in outcome.out


def test_rows_and_columns(dapo, family):
    text = dapo("table", "--rows", "algo,beta", "--cols", "env", "--format", "csv").out
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["n"] != "0"]
    assert [row["algo"] + row["beta"] for row in rows] == ["dapo-kl0.1", "dapo-kl0.5", "dapo-kl0.5", "sac"]
    assert (rows[-1]["value"], rows[-1]["std"], rows[-1]["n"]) == ("101.0", "1.0", "3")
    assert float(rows[-1]["low"]) == pytest.approx(101 - 4.302652729911275 / 3**0.5)


def test_a_run_counts_for_each_of_its_tags(dapo, family):
    text = dapo("table", "--rows", "tag", "--cols", "", "--format", "json", "--where", "env ~ cheetah").out
    assert [(row["tag"], row["algo"], row["n"]) for row in json.loads(text)["cells"]] == [
        ("low", "dapo-kl", 1),
        ("paper", "dapo-kl", 1),
        ("paper", "sac", 3),
        (None, "dapo-kl", 3),
    ]


def test_the_measures_and_statistics_of_compare(dapo, family):
    text = dapo("table", "--measure", "auc", "--stat", "median", "--where", "algo = sac", "--spread", "none").out
    assert "| sac | 50.50 |" in text
    assert "Mean return over training: median over n = 3 runs" in text


@pytest.mark.parametrize("format_", ["latex", "csv", "markdown", "html", "json"])
def test_out_holds_what_is_printed(dapo, family, tmp_path, format_):
    printed = dapo("table", "--format", format_)
    outcome = dapo("table", "--format", format_, "--out", "table.txt")
    assert outcome.out == ""
    assert outcome.err == f"wrote table.txt\n{printed.err}"
    assert Path("table.txt").read_text(encoding="utf-8") == printed.out
    assert {path.name for path in tmp_path.iterdir() if "runs.db" not in path.name} == {"table.txt"}


@pytest.mark.parametrize(
    ("file", "format_"),
    [
        ("a.tex", "latex"),
        ("a.md", "markdown"),
        ("a.csv", "csv"),
        ("a.html", "html"),
        ("a.json", "json"),
        ("a.TEX", "latex"),
    ],
)
def test_the_ending_of_the_file_is_its_format(dapo, family, file, format_):
    printed = dapo("table", "--format", format_).out
    assert dapo("table", "--out", file).code == 0
    assert Path(file).read_text(encoding="utf-8") == printed
    assert dapo("table", "--out", file, "--format", "html").code == 0
    assert Path(file).read_text(encoding="utf-8").endswith("</figure>\n")


def test_only_an_export_to_a_file_is_recorded_and_once(dapo, family, results):
    dapo("table")
    assert exports.keys(results) == []
    dapo("table", "--out", "a.md")
    dapo("table", "--out", "b.tex", "--format", "latex")
    (key,) = exports.keys(results)
    record = exports.find(results, key)
    assert key in Path("b.tex").read_text(encoding="utf-8")
    assert record["command"].endswith("--format markdown --spread interval")
    cell = record["definition"]["cells"]["3.1"]
    assert cell["labels"] == {"algo": "sac", "beta": None, "env": "HalfCheetah-v4"}
    assert {run["id"]: run["score"] for run in cell["runs"]} == {
        family["sac-0"]: 100.0,
        family["sac-1"]: 101.0,
        family["sac-2"]: 102.0,
    }


def test_what_cannot_be_recorded_is_exported_all_the_same(dapo, family, results, monkeypatch):
    from store.errors import CannotWrite
    from store.session import Database

    def refuse(location):
        raise CannotWrite(f"cannot write {location}")

    monkeypatch.setattr(Database, "write", refuse)
    outcome = dapo("table", "--out", "a.md")
    assert outcome.code == 0
    assert Path("a.md").exists()
    assert "is known by the file only: dapo why" in outcome.err
    assert exports.keys(results) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--rows algo --cols algo", "algo is both in --rows and in --cols"),
        ("--cols bta", "no run has a key 'bta': did you mean 'beta'"),
        ("--out no/such/folder.tex", "cannot write no/such/folder.tex: No such file or directory"),
        ("--format csv --out .", "cannot write .: it is a folder or a device"),
        ("--format csv --out /dev/null", "cannot write /dev/null: it is a folder or a device"),
        ("--out a.txt", "--out: a.txt does not say which format: let its name end in .tex, .csv, .md, .html, .json, "),
        ("--out .", "--out: . does not say which format"),
        ("--where seed=9", "no run to tabulate: see what there is with dapo runs"),
        ("--where status=failed", "no run to tabulate (1 run left out: 1 failed)"),
        ("--measure finl", "--measure: no measure 'finl'"),
        ("--stat avg", "--stat: no statistic 'avg'"),
        ("--selection paper", "no selection 'paper'"),
        ("--format pdf", "invalid value for '--format': 'pdf' is not one of 'latex', 'csv', 'markdown', 'html', "),
        ("--digits 12", "invalid value for '--digits'"),
        ("--vary beta", "--vary: against which base?"),
        ("--hyperparameters --where seed=9", "no run to tabulate"),
    ],
)
def test_bad_input(refused, family, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert refused("table", *arguments.split()).startswith(message)
    assert sorted(tmp_path.iterdir()) == before


def test_no_row_keys(refused, family):
    assert refused("table", "--rows", "").startswith("--rows: name at least one key")
