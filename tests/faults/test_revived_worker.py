"""A worker that sleeps and is declared dead; a run whose lock somebody holds; a sweep whose database vanishes."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import working
from harm import OPTIONS, TINY

from dapo_cli.app import main
from dapo_cli.configuration import run_configuration
from dapo_cli.selftest.contents import contents
from store.connection.locks import RunLock
from store.queue import run_queue, sweeps, workers
from store.records import runs
from store.records.insertion import NewRun
from store.schema.models import Run, Worker
from store.session import Database

pytestmark = pytest.mark.slow


@pytest.fixture
def waiting(tmp_path: Path) -> str:
    """A database in which one run waits: where it is."""
    location = str(tmp_path / "runs.db")
    wanted = run_configuration.resolve({**OPTIONS, "steps": 1500}, TINY, directory=tmp_path)
    settings = wanted.settings
    columns = {"algo": settings.algo, "env": settings.env, "seed": settings.seed, "steps": settings.steps}
    with Database.write(location) as db:
        sweeps.enqueue(db, "main", {}, [NewRun(columns, wanted.rows())])
    return location


def only_run(location: str) -> dict[str, Any]:
    with Database.read(location) as db:
        (run,) = runs.listing(db)
    return run


def until(true: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def begun(location: str) -> bool:
    return bool(only_run(location)["step"])


def worth(location: str) -> dict[str, Any]:
    run = only_run(location)
    assert (run["status"], run["exactness"], run["attempts"]) == ("completed", "exact", 0)
    with Database.read(location) as db:
        return dict(contents(db, run["id"]))


def test_a_worker_that_slept_and_lost_its_run_registers_anew_and_trains_it(in_a_process, waiting, monkeypatch):
    worker = in_a_process(working.work, waiting, 1.0)
    until(lambda: begun(waiting))
    os.kill(worker.pid, signal.SIGSTOP)
    run = only_run(waiting)
    with Database.write(waiting) as db:  # what a worker of another host does after two silences
        workers.forget(db, run["worker_id"])
        with db.transaction() as session:
            session.execute(workers.update(Run).values(worker_id=None, status="queued"))
    os.kill(worker.pid, signal.SIGCONT)
    worker.join(300)
    assert worker.exitcode == 0
    assert only_run(waiting)["worker_id"] != run["worker_id"]
    assert len(Path(f"{waiting}.said").read_text().splitlines()) == 1
    worth(waiting)
    with Database.read(waiting) as db, db.connect() as session:
        assert len(session.scalars(workers.select(Worker.id)).all()) == 2


def test_a_run_whose_lock_is_held_is_trained_once_it_is_free(in_a_process, waiting):
    with Database.read(waiting) as db:
        lock = RunLock(db.run_folder(only_run(waiting)["id"]) / "lock")
    lock.acquire()
    worker = in_a_process(working.work, waiting, 1.0)
    with Database.read(waiting) as db:
        refused = lambda: len(runs.events(db, only_run(waiting)["id"])) > 2  # noqa: E731
        until(refused)
    assert worker.is_alive()
    lock.release()
    worker.join(300)
    assert worker.exitcode == 0
    worth(waiting)


def test_the_run_of_a_worker_whose_database_vanishes_comes_back_to_the_same_bits(in_a_process, waiting, tmp_path):
    worker = in_a_process(working.work, waiting, 1.0)
    until(lambda: begun(waiting))
    for suffix in ("", "-wal", "-shm"):
        Path(waiting + suffix).unlink()
    worker.join(120)
    assert worker.exitcode == 2
    (line,) = Path(f"{waiting}.said").read_text().splitlines()
    bring = line.partition("bring them back with: ")[2].partition(";")[0]
    assert main(shlex.split(bring)[1:]) == 0
    run = only_run(waiting)
    assert run["status"] == "interrupted"
    assert main(["resume", run["id"], "--db", waiting]) == 0
    calm = tmp_path / "calm"
    calm.mkdir()
    with Database.read(waiting) as db:
        settings = runs.hyperparameters(db, run["id"])
    columns = {name: run[name] for name in ("algo", "env", "seed", "steps")}
    with Database.write(str(calm / "runs.db")) as db:
        sweeps.enqueue(db, "main", {}, [NewRun(columns, settings)])
    other = in_a_process(working.work, str(calm / "runs.db"), 1.0)
    other.join(300)
    assert worth(waiting) == worth(str(calm / "runs.db"))
    with Database.read(waiting) as db:
        assert run_queue.count_waiting(db) == 0
