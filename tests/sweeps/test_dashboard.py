"""What is shown of a sweep: counts, groups, the best, time left; on a terminal, in a pipe and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from dapo_cli.app import main
from dapo_cli.sweeps.work import dashboard, status
from dapo_cli.terminal import console
from store.queue import sweeps
from store.queue.workers import Registered
from store.records import runs
from store.records.insertion import NewRun
from store.records.recorder import Recorder
from store.session import Database


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAPO_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    with Database.write("runs.db") as opened:
        yield opened


@pytest.fixture
def half(database: Database) -> list[str]:
    """A sweep of two values of β with two seeds: two runs completed, one failed, one waiting."""
    new = [
        NewRun(
            {"algo": "dapo-kl", "env": "e[bold]", "seed": seed, "steps": 100},
            [{"name": "beta", "value": beta, "origin": "command line"}],
        )
        for seed in (0, 1)
        for beta in (0.1, 0.5)
    ]
    ids = sweeps.enqueue(database, "main\x1b[31m", {}, new).added
    for id_, final in zip(ids[:2], (10.0, 30.0), strict=True):
        runs.set_status(database, id_, "running")
        recorder = Recorder(database, id_)
        recorder.evaluation(100, "mean", 0, final, 5)
        recorder.progress(100, 50.0)
        recorder.close("completed")
    runs.set_status(database, ids[2], "failed", "oops")
    return ids


def picture(database: Database) -> status.Picture:
    (found,) = status.Overview(None).pictures(database)
    return found


def test_a_picture_has_the_groups_of_the_grid_and_marks_the_best(database, half):
    found = picture(database)
    assert found.varying == ("algo", "env", "beta")
    assert status.table(found) == (
        ("algo", "env", "beta", "done", "steps", "return"),
        [
            ("dapo-kl", "e[bold]", "0.1", "2/2 (1 failed)", "200", "10.00"),
            ("dapo-kl", "e[bold]", "0.5", "1/2", "100/200", "30.00 *"),
        ],
    )
    assert status.line(found) == "3/4 runs, 1 queued, 1 failed, 75%"


def test_a_sweep_is_followed_under_its_new_name(database, half):
    overview = status.Overview("main\x1b[31m")
    overview.follow(database)
    assert len(overview.pictures(database)) == 1
    sweeps.rename(database, "main\x1b[31m", "paper")
    assert [found.name for found in overview.pictures(database)] == ["paper"]


def test_the_time_left_is_of_the_workers_that_live(database, half):
    assert picture(database).left is None
    worker = Registered(database, 2, None)
    assert picture(database).left == 100 / 2.0 / 2
    assert [row["id"] for row in picture(database).workers] == [worker.id]
    worker.end("done")


def test_a_database_that_lies_draws_nothing_but_text(database, half):
    screen = io.StringIO()
    Console(file=screen, width=100, force_terminal=True, color_system=None).print(
        dashboard.picture_of([picture(database)])
    )
    text = screen.getvalue()
    assert "main\\x1b[31m" in text
    assert "e[bold]" in text


def test_a_worker_in_a_pipe_says_what_starts_and_ends(database, half, capsys):
    console.set_verbosity(0)
    plain = dashboard.Plain(None)
    plain.happened(half[3], "started", "")
    plain.look(database)
    runs.set_status(database, half[3], "failed", "no such joint")
    plain.happened(half[3], "failed", "no such joint")
    plain.look(database)
    name = runs.shorten(database)[half[3]]
    assert capsys.readouterr().err.splitlines() == [
        f"run {name} (dapo-kl on e[bold], seed 1) started",
        f"dapo: warning: run {name} (dapo-kl on e[bold], seed 1) failed: no such joint",
        "main\\x1b[31m: 4/4 runs, 2 failed, 100%",
    ]


def test_status_as_typed(database, half, capsys):
    assert main(["sweep", "status"]) == 0
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row == ["main\\x1b[31m", "active", "4", "3", "0", "1", "1", "–"]
    assert main(["sweep", "status", "main\x1b[31m"]) == 0
    assert capsys.readouterr().out.split()[-3:] == ["100/200", "30.00", "*"]
    assert main(["sweep", "status", "main\x1b[31m", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["counts"] == {"completed": 2, "failed": 1, "queued": 1}
    assert [group["best"] for group in record["groups"]] == [False, True]
    assert main(["sweep", "status", "nix"]) == 2
    assert "there is no sweep 'nix'" in capsys.readouterr().err


def test_control_as_typed(database, half, capsys):
    name = "main\x1b[31m"

    def said(*arguments: str, code: int = 0) -> str:
        assert main(["sweep", *arguments]) == code
        return capsys.readouterr().err

    assert "is paused: dapo sweep resume" in said("pause", name)
    assert "is paused already" in said("pause", name)
    assert "train what waits with: dapo worker" in said("resume", name)
    assert "1 run queued again" in said("retry", name)
    assert "is cancelled; its results stay" in said("cancel", name)
    assert [run["status"] for run in sweeps.progress(database, sweeps.get(database, name)["id"])] == [
        "completed",
        "completed",
        "cancelled",
        "cancelled",
    ]
    assert "queue its runs again with: dapo sweep retry" in said("resume", name, code=2)
    assert "2 runs queued again" in said("retry", name)
    assert "--watch is for the eye" in said("status", "--watch", "--json", code=2)
    for command in ("pause", "resume", "retry", "cancel", "status"):
        assert "there is no sweep 'nix'" in said(command, "nix", code=2)


def test_a_worker_of_no_database_makes_none(database, capsys, tmp_path):
    assert main(["worker", "--db", "nowhere.db"]) == 2
    assert "no results database at nowhere.db" in capsys.readouterr().err
    assert not (tmp_path / "nowhere.db").exists()
    assert main(["worker"]) == 0
    assert capsys.readouterr().err == "nothing waits in the queue\n"
