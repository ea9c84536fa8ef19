"""dapo verify: which cells of exported tables are no longer what the runs say."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

FORMATS = ("latex", "markdown", "html", "csv", "json")


@pytest.fixture
def paper(dapo, record_run):
    """Six runs of two algorithms on two environments, and their table in every format; name -> run id."""
    ids = {}
    for env in ("HalfCheetah-v4", "Hopper-v4"):
        for algo, level in (("dapo-kl", 200.0), ("sac", 100.0)):
            for seed in range(3):
                finals = [level + 10 * seed, level]
                ids[f"{algo} {env} {seed}"] = record_run(algo, env, seed=seed, final=finals, settings={"gamma": 0.99})
    for format_ in FORMATS:
        assert dapo("table", "--format", format_, "--out", f"t.{format_}").code == 0
    return ids


def change(statement: str, *values: object) -> None:
    with sqlite3.connect("runs.db") as connection:
        connection.execute(statement, values)
    connection.close()


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text(encoding="utf-8")
    assert text.count(old) >= 1
    Path(file).write_text(text.replace(old, new, 1), encoding="utf-8")


def moved(dapo, file: str) -> list[tuple[str, str]]:
    """Labels and reason of the cells that moved; the exit code must fit."""
    outcome = dapo("verify", file, "--json")
    cells = [(cell["labels"], cell["why"]) for table in json.loads(outcome.out) for cell in table["moved"]]
    assert outcome.code == (1 if cells else 0)
    return cells


def test_as_they_were(dapo, paper):
    outcome = dapo("verify", *(f"t.{format_}" for format_ in FORMATS))
    assert outcome.code == 0
    assert [line.partition(": all ")[2] for line in outcome.out.splitlines()] == ["4 cells are as they were"] * 5


@pytest.mark.parametrize("format_", FORMATS)
def test_one_episode_edited_by_sql_moves_its_cell_only(dapo, paper, format_):
    run = paper["sac Hopper-v4 1"]
    change(
        "UPDATE evaluation SET return = 120 WHERE run_id = ? AND step = 1000 AND actions = 'mean' AND number = 0", run
    )
    ((labels, why),) = moved(dapo, f"t.{format_}")
    assert labels == "sac & Hopper-v4"
    assert why == f"score of run {run[:8]} 105.0, now 110.0"
    line = dapo("verify", f"t.{format_}").out
    assert ".2.2 sac & Hopper-v4: " in line
    assert "105" in line.partition("→")[0]
    assert "106" in line.partition("→")[2]


def test_a_change_below_the_digits_shown_counts(dapo, paper):
    run = paper["sac Hopper-v4 1"]
    change("UPDATE evaluation SET return = return + 1e-9 WHERE run_id = ? AND step = 1000 AND number = 0", run)
    assert [labels for labels, _ in moved(dapo, "t.latex")] == ["sac & Hopper-v4"]


def test_without_a_record_the_file_tells_what_changed(dapo, paper, record_run):
    change("DELETE FROM export")
    record_run("sac", "Hopper-v4", seed=3, final=[105.0], settings={"gamma": 0.99})
    change("UPDATE evaluation SET return = 0 WHERE run_id = ?", paper["dapo-kl Hopper-v4 0"])
    assert ("dapo-kl & Hopper-v4", "scores changed") in moved(dapo, "t.markdown")
    assert ("sac & Hopper-v4", "runs added or removed (3, now 4)") in moved(dapo, "t.markdown")


def test_rows_that_came_and_went(dapo, paper, record_run):
    record_run("ampo", "Hopper-v4", final=[1.0], settings={"gamma": 0.99})
    found = dict(moved(dapo, "t.html"))
    assert found["ampo & Hopper-v4"] == "there was no run"
    change("DELETE FROM run WHERE algo = 'sac'")
    assert dict(moved(dapo, "t.html"))["sac & Hopper-v4"] == "no run is left"


@pytest.mark.parametrize(
    ("format_", "old", "new"),
    [
        ("latex", "sac & 105.0", "sac & 195.0"),
        ("markdown", "| sac | 105.0", "| sac | 195.0"),
        ("html", ">105.0", ">195.0"),
        ("csv", ",105.0,", ",195.0,"),
        ("json", '"value": 105.0', '"value": 195.0'),
    ],
)
def test_a_cell_edited_by_hand(dapo, paper, format_, old, new):
    edit(f"t.{format_}", old, new)
    assert moved(dapo, f"t.{format_}") == [("sac & HalfCheetah-v4", "edited by hand")]


def test_labels_edited_by_hand(dapo, paper):
    edit("t.markdown", "| sac | 1", "| ours | 1")
    assert {why for _, why in moved(dapo, "t.markdown")} == {"edited by hand"}


def test_the_caption_may_be_reworded(dapo, paper):
    edit("t.latex", r"\caption{Final return", r"\caption{\label{tab:us} Our return")
    assert moved(dapo, "t.latex") == []


@pytest.mark.parametrize("format_", ["latex", "markdown", "html"])
def test_the_table_may_be_indented(dapo, paper, format_):
    text = Path(f"t.{format_}").read_text(encoding="utf-8")
    Path("in.txt").write_text("".join(f"    {line}\n" for line in text.splitlines()), encoding="utf-8")
    assert moved(dapo, "in.txt") == []


@pytest.mark.parametrize("format_", FORMATS)
def test_hostile_names(dapo, record_run, format_):
    name = 'a & b | c \\\\ % --> <td>1</td> \\multicolumn{2}{c}{x} \n dapo table 00000000 ends , "; é中'
    for seed in range(2):
        run = record_run("sac", name, seed=seed, final=[1.0], tags=[name], settings={"text": name})
    for extra in ([], ["--hyperparameters"], ["--rows", "tag,text", "--cols", "env"]):
        assert dapo("table", "--format", format_, *extra, "--out", "t.txt").code == 0
        assert moved(dapo, "t.txt") == []
        assert dapo("verify", "t.txt").out.count("\n") == 1
    change("UPDATE evaluation SET return = 2 WHERE run_id = ?", run)
    ((_, why),) = moved(dapo, "t.txt")
    assert why == f"score of run {run[:8]} 1.0, now 2.0"


def test_several_tables_inside_a_page(dapo, paper):
    one = Path("t.markdown").read_text(encoding="utf-8")
    dapo("table", "--hyperparameters", "--out", "h.md")
    two = Path("h.md").read_text(encoding="utf-8").replace("0.99", "0.9")
    Path("page.md").write_text(f"# Results\n\n{one}\nAnd:\n\n{two}", encoding="utf-8")
    assert moved(dapo, "page.md") == [(" & gamma & dapo-kl", "edited by hand")]
    lines = dapo("verify", "page.md").out.splitlines()
    assert [line.startswith("page.md: ") for line in lines] == [True, True]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rm -rf x", "'rm -rf x' is no dapo table"),
        ("dapo table --out x.md", "'dapo table --out x.md' names a place"),
        ("dapo table --db other.db", "'dapo table --db other.db' names a place"),
        ("dapo table --import os", "'dapo table --import os' cannot be read"),
        ("dapo table --help", "'dapo table --help' cannot be read"),
        ("dapo table 'open", "'dapo table 'open' is no command line"),
        ("dapo table --references /dev/zero", "--references: there is no file /dev/zero"),
        ("dapo table --rows nothing", None),
    ],
)
def test_a_command_in_a_file_is_data(dapo, refused, paper, tmp_path, command, message):
    text = Path("t.markdown").read_text(encoding="utf-8")
    made = next(line for line in text.splitlines() if line.startswith("made by: "))
    Path("t.markdown").write_text(text.replace(made, f"made by: {command}"), encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    if message:
        assert refused("verify", "t.markdown").startswith(message)
    else:
        assert "no run has a key 'nothing'" in moved(dapo, "t.markdown")[0][1]
    assert sorted(tmp_path.iterdir()) == before


def test_files_without_a_table_are_passed_over_and_the_worst_decides(dapo, refused, paper):
    Path("main.tex").write_text("\\documentclass{article}\n", encoding="utf-8")
    Path("picture.tex").write_bytes(b"\x89PNG\xff\xfe")
    outcome = dapo("verify", "main.tex", "picture.tex", "t.latex", "t.csv")
    assert outcome.code == 0
    assert outcome.out.count("all 4 cells are as they were") == 2
    assert [line.partition(" has")[0].partition(" is")[0] for line in outcome.err.splitlines()] == [
        "passed over: main.tex",
        "passed over: picture.tex",
    ]
    change("UPDATE evaluation SET return = 0 WHERE run_id = ?", paper["sac Hopper-v4 1"])
    assert dapo("verify", "main.tex", "t.latex").code == 1
    outcome = dapo("verify", "none.tex", "t.latex")
    assert outcome.code == 2
    assert "t.latex: " in outcome.out
    assert "cannot read none.tex" in outcome.err
    assert refused("verify", "main.tex", "picture.tex").startswith("none of these 2 files has a table of dapo's")
    assert refused("verify", "main.tex", "none.tex").startswith("cannot read none.tex")
    key = re.search(r"dapo table ([0-9a-f]{8}) begins", Path("t.latex").read_text(encoding="utf-8"))[1]
    change("DELETE FROM export")
    line = refused("why", f"{key}.1.1", "main.tex", "t.latex")
    assert line.startswith(f"the runs behind {key} have changed since t.latex was written: dapo verify t.latex")


def test_bad_input(refused, family):
    Path("empty.md").write_text("# Nothing\n", encoding="utf-8")
    Path("picture.png").write_bytes(b"\x89PNG\xff\xfe")
    Path("broken.json").write_text('{"cells": [{"key": 1}]}', encoding="utf-8")
    assert refused("verify", "empty.md").startswith("empty.md has no table of dapo's")
    assert refused("verify", "broken.json").startswith("broken.json has no table")
    assert refused("verify", "picture.png").startswith("picture.png is no text")
    assert refused("verify", "none.md").startswith("cannot read none.md: No such file")
    assert refused("verify", ".").startswith("cannot read .: Is a directory")


def test_a_table_that_pooled_configurations_without_being_asked_names_the_rule(dapo, family, tmp_path):
    file = tmp_path / "old.tex"
    assert dapo("table", "--pool-over", "beta", "--format", "latex", "--out", str(file)).code == 0
    assert dapo("verify", str(file)).code == 0
    file.write_text(file.read_text(encoding="utf-8").replace(" --pool-over beta", ""), encoding="utf-8")
    outcome = dapo("verify", str(file))
    assert outcome.code == 1
    (line,) = outcome.out.splitlines()
    assert "rows split by beta: a cell is one configuration now" in line
    assert "add --pool-over beta to its command" in line
