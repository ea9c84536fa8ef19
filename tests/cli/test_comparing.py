"""compare and table: what counts in a cell, and as data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest


def test_table_markdown(dapo, family):
    assert dapo("table", "--where", "algo = sac", "-q") == (
        0,
        "| algo | HalfCheetah-v4 |\n| :--- | ---: |\n| sac | 101.0 ± 1.0 |\n\n"
        "Final return: mean ± standard deviation over n = 3 runs per cell.\n",
        "",
    )


def test_table_csv(dapo, family):
    text = dapo("table", "--rows", "algo,beta", "--cols", "env", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["algo"] + row["beta"] for row in rows] == ["dapo-kl0.1", "dapo-kl0.5", "dapo-kl0.5", "sac"]
    assert rows[-1] == {
        "algo": "sac",
        "beta": "",
        "env": "HalfCheetah-v4",
        "n": "3",
        "mean": "101.0",
        "std": "1.0",
        "low": rows[-1]["low"],
        "high": rows[-1]["high"],
    }
    assert float(rows[-1]["low"]) == pytest.approx(101 - 4.302652729911275 / 3**0.5)


@pytest.mark.parametrize("format_", ["latex", "csv", "markdown", "html", "json"])
def test_table_out_holds_what_is_printed(dapo, family, tmp_path, format_):
    printed = dapo("table", "--format", format_)
    outcome = dapo("table", "--format", format_, "--out", "table.txt")
    assert outcome.out == ""
    assert outcome.err == f"wrote table.txt\n{printed.err}"
    assert Path("table.txt").read_text(encoding="utf-8") == printed.out
    assert {path.name for path in tmp_path.iterdir() if "runs.db" not in path.name} == {"table.txt"}


def test_table_a_run_counts_for_each_of_its_tags(dapo, family):
    rows = json.loads(dapo("table", "--rows", "tag", "--cols", "", "--format", "json").out)
    assert [(row["tag"], row["n"]) for row in rows] == [("low", 1), ("paper", 4), (None, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--rows algo --cols algo", "algo is both in --rows and in --cols"),
        ("--cols bta", "--rows and --cols: no run has a key 'bta': did you mean 'beta'"),
        ("--out no/such/folder.tex", "cannot write no/such/folder.tex: No such file or directory"),
        ("--out .", "cannot write .: it is a folder or a device"),
        ("--out /dev/null", "cannot write /dev/null: it is a folder or a device"),
        ("--where seed=9", "no completed run to tabulate: see what there is with dapo runs"),
        ("--where status=failed", "no completed run to tabulate (1 run left out: 1 failed)"),
    ],
)
def test_table_bad_input(refused, family, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert refused("table", *arguments.split()).startswith(message)
    assert sorted(tmp_path.iterdir()) == before


def test_table_no_row_keys(refused, family):
    assert refused("table", "--rows", "").startswith("--rows: name at least one key")
