"""dapo reproduce as it is typed: listed, planned, and its tables made from the runs that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from store.records import runs
from store.records.recorder import Recorder

TINY = "--env Pendulum-v1 --seeds 2 --steps 300 --set hidden_sizes=[16,16] --set learning_starts=100".split()


@pytest.fixture
def completed(dapo, results):
    """The queue of the protocol `million`, every run of it completed with two evaluations."""
    assert dapo("reproduce", "million", *TINY, "--enqueue").code == 0
    for run in runs.listing(results):
        recorder = Recorder(results, run["id"])
        for step in (100, 300):
            recorder.evaluation(step, "mean", 0, float(step + run["seed"]), 1)
        recorder.progress(300, 3.0)
        recorder.close("completed")


def test_the_list_says_how_large_each_is(dapo):
    records = {record["protocol"]: record for record in json.loads(dapo("reproduce", "--list", "--json").out)}
    assert records["dapo-paper"]["budgets"]["full"] == {"runs": 100, "steps": 100_000_000}
    assert "dapo-paper" in dapo("reproduce", "--list").out


def test_a_dry_run_writes_nothing(dapo, tmp_path):
    outcome = dapo("reproduce", "dapo-paper", "--dry-run")
    assert outcome.code == 0
    assert "sweep dapo-paper-quick: 20 runs, 20 to make" in outcome.err
    assert "then, in dapo-paper-quick: returns.tex, returns.md" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_complete_becomes_tables_figures_and_a_report(dapo, completed):
    outcome = dapo("reproduce", "million", *TINY)
    assert outcome.code == 0, outcome.err
    folder = Path("million-quick")
    made = {file.name for file in folder.iterdir()}
    assert made == {"returns.tex", "curves.pdf", "curves.png", "report.html", "commands.sh"}
    assert "sac" in (folder / "returns.tex").read_text()
    assert "6 runs, 6 completed" in outcome.err
    assert dapo("verify", "million-quick/returns.tex").code == 0


def test_an_output_that_cannot_be_made_is_named_and_the_others_are_made(dapo, completed):
    Path("million-quick").mkdir()
    Path("million-quick/curves.pdf").mkdir()
    outcome = dapo("reproduce", "million", *TINY)
    assert outcome.code == 1
    assert "curves.pdf: it is a folder or a device" in outcome.err
    assert Path("million-quick/report.html").is_file()


def test_bad_input(refused, tmp_path):
    assert "what is to be reproduced?" in refused("reproduce")
    assert "unknown protocol 'dapo-papr': did you mean 'dapo-paper'" in refused("reproduce", "dapo-papr")
    assert "there is no budget 'ful'" in refused("reproduce", "million", "--budget", "ful")
    (tmp_path / "million-quick").write_text("")
    assert "million-quick is a file: name a folder with --out" in refused("reproduce", "million", *TINY)
