"""A worker: what it makes of runs that crash, hang, diverge or cannot be, of signals, and of a sweep that is paused."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dapo_cli.errors import Interrupted
from dapo_cli.sweeps.work import child_process, children, supervisor
from dapo_cli.sweeps.work.supervisor import Order
from store.errors import CannotWrite, StoreError, SweepNotFound, Vanished
from store.queue import sweeps, workers
from store.records import runs
from store.records.insertion import NewRun
from store.session import Database


class Heard:
    """A screen that keeps what it is told, and calls a function at each look."""

    def __init__(self, act: Callable[[Database], object] = bool) -> None:
        self.events: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self._act = act

    def happened(self, run_id: str, status: str, reason: str) -> None:  # noqa: ARG002
        self.events.append((status, reason))

    def look(self, db: Database) -> None:
        self._act(db)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    script = str(Path(__file__).with_name("fake_child.py"))
    monkeypatch.setattr(child_process, "command", lambda run_id, *_: [sys.executable, script, run_id])
    monkeypatch.setattr(children, "GRACE", 0.5)
    monkeypatch.setattr(supervisor, "LOOK", 0.1)
    monkeypatch.setattr(supervisor, "POLL", 0.02)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.write(str(tmp_path / "runs.db")) as opened:
        yield opened


def ask(db: Database, *what: str, name: str = "main") -> list[str]:
    """A sweep with one run for each of these conducts."""
    settings = [{"name": "m", "value": 1, "origin": "default"}]
    new = [NewRun({"algo": "sac", "env": env, "seed": n, "steps": 9}, settings) for n, env in enumerate(what)]
    return sweeps.enqueue(db, name, {}, new).runs


def work(db: Database, screen: Heard | None = None, **order: object) -> dict[str, int]:
    return dict(supervisor.work(db.location, Order(**order), screen or Heard()))


def states(db: Database, ids: list[str]) -> list[tuple[str, str | None]]:
    return [(run["status"], run["reason"]) for run in (runs.get(db, id_) for id_ in ids)]


def test_a_run_that_always_crashes_fails_after_three_attempts_and_the_sweep_goes_on(database):
    ids = ask(database, "crashing", "fine", "killed")
    screen = Heard()
    assert work(database, screen, jobs=2) == {"queued": 4, "failed": 2, "completed": 1}
    assert states(database, ids) == [
        ("failed", "ValueError: no such joint (3 attempts)"),
        ("completed", None),
        ("failed", "killed by SIGKILL, as the system does when memory runs out (3 attempts)"),
    ]
    assert [status for status, _ in screen.events].count("started") == 7


def test_what_cannot_be_trained_fails_at_once_and_says_why(database):
    (run_id,) = ask(database, "refused")
    assert work(database) == {"failed": 1}
    reason = "run x has a setting 'y' that sac lacks: use the dapo that made it"
    assert states(database, [run_id]) == [("failed", reason)]


def test_a_diverged_run_is_a_result(database):
    ids = ask(database, "diverged")
    assert work(database) == {"diverged": 1}
    assert sweeps.retry(database, "main") == []
    assert states(database, ids) == [("diverged", None)]


def test_a_run_that_hangs_is_killed_and_tried_again(database):
    ids = ask(database, "hanging", "fine")
    assert work(database, stall=2.0) == {"queued": 2, "failed": 1, "completed": 1}
    assert states(database, ids) == [("failed", "hung: no step in 2 s (3 attempts)"), ("completed", None)]


def test_trouble_of_the_store_is_no_fault_of_the_runs(database):
    (run_id,) = ask(database, "locked")
    with pytest.raises(CannotWrite, match="the disk is full"):
        work(database)
    run = runs.get(database, run_id)
    assert (run["status"], run["attempts"], run["worker_id"]) == ("queued", 0, None)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_gives_the_runs_back_and_leaves_no_process(database, signum, code):
    ids = ask(database, "long", "long", "long")

    def act(db: Database) -> None:
        if sum(run["status"] == "running" for run in runs.listing(db)) == 2:
            signal.raise_signal(signum)

    with pytest.raises(Interrupted) as caught:
        work(database, Heard(act), jobs=2)
    assert caught.value.exit_code == code
    found = [runs.get(database, id_) for id_ in ids]
    assert [(run["status"], run["attempts"], run["worker_id"]) for run in found] == [("queued", 0, None)] * 3
    assert workers.listing(database) == []
    assert sorted(path.name for path in database.files.iterdir()) == ["lock"]


def test_pausing_stops_what_trains_and_the_worker_waits_for_the_rest(database):
    ids = ask(database, "long", "fine")
    seen: list[str] = []

    def act(db: Database) -> None:
        status = runs.get(db, ids[0])["status"]
        if status == "running" and not seen:
            seen.append(sweeps.set_state(db, "main", "paused"))
        elif status == "queued" and len(seen) == 1 and runs.get(db, ids[0])["worker_id"] is None:
            seen.append("stopped")
            with db.transaction() as session:
                session.execute(sweeps.update(runs.Run).where(runs.Run.id == ids[0]).values(env="fine"))
            threading.Timer(0.5, lambda: sweeps.set_state(db, "main", "active")).start()

    assert work(database, Heard(act)) == {"queued": 1, "completed": 2}
    assert seen == ["active", "stopped"]


def test_a_cancelled_run_stops_and_is_not_queued_again(database):
    ids = ask(database, "long", "long")

    def act(db: Database) -> None:
        if runs.get(db, ids[0])["status"] == "running":
            sweeps.set_state(db, "main", "cancelled")

    assert work(database, Heard(act)) == {"cancelled": 1}
    assert [status for status, _ in states(database, ids)] == ["cancelled", "cancelled"]


def test_a_run_that_was_deleted_or_taken_over_is_killed(database):
    (run_id,) = ask(database, "long")

    def act(db: Database) -> None:
        if runs.get(db, run_id)["status"] == "running":
            with db.transaction() as session:
                session.execute(sweeps.update(runs.Run).values(worker_id="another", status="completed"))

    assert work(database, Heard(act)) == {"gone": 1}
    assert runs.get(database, run_id)["worker_id"] == "another"


@pytest.mark.parametrize("freed", [False, True])
def test_a_worker_that_was_declared_dead_goes_on_as_another(database, monkeypatch, freed):
    """What nobody has freed it keeps; what somebody has it lets go, and takes again, as it waits."""
    monkeypatch.setattr(supervisor, "BEAT", 0.0)
    (run_id,) = ask(database, "brief")
    dead: list[str] = []

    def act(db: Database) -> None:
        run = runs.get(db, run_id)
        if run["status"] == "running" and not dead:
            dead.append(run["worker_id"])
            workers.forget(db, run["worker_id"])
            if freed:
                with db.transaction() as session:
                    session.execute(sweeps.update(runs.Run).values(worker_id=None, status="queued"))

    screen = Heard(act)
    assert work(database, screen) == ({"gone": 1, "completed": 1} if freed else {"completed": 1})
    assert len(screen.warnings) == 1
    run = runs.get(database, run_id)
    assert (run["status"], run["attempts"]) == ("completed", 0)
    assert run["worker_id"] not in dead


def test_a_run_whose_lock_is_held_is_passed_over_for_a_while_and_then_left(database, monkeypatch):
    monkeypatch.setattr(supervisor, "HELD", 0.1)
    monkeypatch.setattr(supervisor, "REFUSALS", supervisor.TROUBLES + 1)
    held, _ = ask(database, "held", "fine")
    screen = Heard()
    assert work(database, screen) == {"queued": supervisor.TROUBLES + 1, "completed": 1}
    assert screen.warnings == [f"run {held} still has another process: it stays in the queue, for another worker"]
    run = runs.get(database, held)
    assert (run["status"], run["attempts"], run["worker_id"]) == ("queued", 0, None)


def test_a_database_that_vanishes_ends_the_worker_and_it_passes_on_what_its_runs_say(database, monkeypatch):
    ask(database, "long")
    assert database.path is not None
    monkeypatch.setattr(children, "last_line", lambda child: f"process {child.process.pid} has a copy")

    def act(db: Database) -> None:
        if db.path.exists() and runs.listing(db)[0]["status"] == "running":
            db.path.unlink()

    screen = Heard(act)
    with pytest.raises(Vanished, match=r"runs\.db was removed or renamed while it was in use"):
        work(database, screen)
    assert [line.partition(" has ")[2] for line in screen.warnings] == ["a copy"]


def test_a_worker_that_stays_takes_what_comes_later(database):
    ask(database, "fine")

    def act(db: Database) -> None:
        done = [run for run in runs.listing(db) if run["status"] == "completed"]
        if len(done) == 1:
            ask(db, "fine", "fine")
        if len(done) == 2:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        work(database, Heard(act), stay=True)
    assert [run["status"] for run in runs.listing(database)] == ["completed"] * 2


def test_a_database_that_is_out_of_reach_for_a_while_is_waited_for(database, monkeypatch):
    ask(database, "fine")
    claim, calls = supervisor.run_queue.claim, []

    def fail(*arguments: object, **keywords: object) -> object:
        calls.append(1)
        if len(calls) < 4:
            raise StoreError("the server is gone")
        return claim(*arguments, **keywords)

    monkeypatch.setattr(supervisor.run_queue, "claim", fail)
    screen = Heard()
    assert work(database, screen) == {"completed": 1}
    assert screen.warnings == ["the server is gone; trying again"]


def test_runs_side_by_side_have_a_gpu_each(database, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,MIG-a,5")
    ids = ask(database, *["gpu"] * 5)
    assert supervisor.work(database.location, Order(jobs=3), Heard()) == {"completed": 5}
    used = [runs.get(database, run_id)["note"] for run_id in ids]
    assert set(used[:3]) == {"3", "MIG-a", "5"} >= set(used[3:])


def test_an_unknown_sweep_is_refused_before_a_worker_is_recorded(database):
    with pytest.raises(SweepNotFound):
        work(database, sweep="nix")
    assert workers.listing(database) == []


def test_the_process_of_a_run_ends_with_its_worker(monkeypatch):
    """Standard input is a pipe from the worker: its end is the worker's."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(child_process.os, "read", lambda *_: b"")
    monkeypatch.setattr(child_process.os, "kill", lambda pid, signum: sent.append((pid, signum)))
    monkeypatch.setattr(child_process.time, "sleep", lambda seconds: sent.append((0, int(seconds))))
    child_process._end_with_worker()
    assert [what for _, what in sent] == [signal.SIGTERM, int(child_process.GRACE), signal.SIGKILL]
