"""Workers as processes of their own; the command line that every launcher starts."""

from __future__ import annotations

import os
import signal

import pytest
from launching import RUNS, finish, query, record, start, wait_for

from dapo_cli.app import main
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.work import launchers
from dapo_cli.sweeps.work.launchers import Request

CHECKPOINTED = "SELECT worker_id FROM run JOIN checkpoint ON run.id = run_id WHERE status = 'running'"


def test_a_file_is_named_by_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = launchers.command(Request("runs.db", "main", jobs=3, modules=("mine",)))
    place = str(tmp_path / "runs.db")
    assert command.arguments == ("worker", "--db", place, "--sweep", "main", "--import", "mine", "--jobs", "3")
    assert command.environment == {}


def test_a_password_is_in_no_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = launchers.command(Request("postgresql://me:secret@host/results?files=here", "main"))
    assert "secret" not in " ".join(command.arguments)
    assert command.environment["DAPO_DB"].startswith("postgresql://me:secret@host/results?files=")
    assert str(tmp_path / "here").replace("/", "%2F") in command.environment["DAPO_DB"].replace("/", "%2F")


@pytest.mark.parametrize(
    ("name", "request_", "said"),
    [
        ("slrum", Request("runs.db"), "did you mean 'slurm'?"),
        ("local", Request("runs.db", slurm=("partition=cpu",)), "--slurm is for --launcher slurm"),
        ("slurm", Request("runs.db", workers=1, address="auto"), "--address is for --launcher ray"),
        ("slurm", Request("runs.db"), "--workers N"),
    ],
)
def test_what_cannot_be_launched_is_one_line(name, request_, said):
    with pytest.raises(BadInput, match="(?s)" + said.replace("?", r"\?")):
        launchers.check(name, request_)


def test_a_dry_run_prints_the_workers_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = ["--algo", "sac", "--env", "Pendulum-v1", "--seeds", "1", "--steps", "100", "--name", "main"]
    assert main(["sweep", *tiny, "--workers", "2", "--dry-run"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " worker --db " in line]
    assert len(lines) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(tmp_path, undisturbed):
    """Two workers, one of them killed after a checkpoint: the other ends the sweep, with the rows of one worker."""
    database = tmp_path / "runs.db"
    sweep = start(tmp_path, "sweep", "run", "main.toml", "--workers", "2")
    (victim,) = wait_for(lambda: query(database, CHECKPOINTED))[0]
    (pid,) = query(database, f"SELECT pid FROM worker WHERE id = '{victim}'")[0]
    os.kill(pid, signal.SIGKILL)
    assert "1 of 2 workers ended with an error" in finish(sweep, code=1)
    assert record(database) == undisturbed
    assert len(record(database)) == RUNS
    assert query(database, "SELECT count(*) FROM event WHERE kind = 'resumed'")[0][0] >= 1


@pytest.mark.slow
def test_workers_stop_with_their_launcher(tmp_path):
    sweep = start(tmp_path, "sweep", "run", "main.toml", "--workers", "2")
    database = tmp_path / "runs.db"
    wait_for(lambda: query(database, CHECKPOINTED))
    sweep.send_signal(signal.SIGTERM)
    assert "back in the queue" in finish(sweep, code=143)
    assert query(database, "SELECT count(*) FROM worker WHERE ended_at IS NULL") == [(0,)]
    assert any(message.startswith("stopped") for (message,) in query(database, "SELECT message FROM worker"))
    statuses = [status for (status,) in query(database, "SELECT status FROM run")]
    assert "queued" in statuses
    assert set(statuses) <= {"queued", "completed"}
