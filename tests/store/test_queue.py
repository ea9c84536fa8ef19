"""The queue: one run has one worker, nothing that a worker leaves is lost, and three crashes are enough."""

from __future__ import annotations

import multiprocessing
import socket
from typing import Any

import pytest

from store.errors import StoreError, SweepNotFound, WorkerEnded
from store.queue import run_queue, sweeps, workers
from store.queue.workers import Registered, Watch
from store.records import runs
from store.records.insertion import NewRun
from store.session import Database

MANY = 60


def wanted(count: int, **columns: object) -> list[NewRun]:
    settings = [{"name": "m", "value": 1, "origin": "default"}]
    return [NewRun({"algo": "sac", "env": "e", "seed": s, "steps": 9, **columns}, settings) for s in range(count)]


@pytest.fixture
def worker(database):
    """A living worker: its id."""
    registered = Registered(database, 1, None)
    yield registered.id
    registered.end("done")


def checkpoint(database: Database, run_id: str, step: int) -> None:
    runs.add_checkpoint(database, run_id, step=step, path="c", size=1, sha256="0")


def status(database: Database, run_id: str) -> str:
    return str(runs.get(database, run_id)["status"])


def test_a_sweep_is_worked_off_in_its_order_and_older_sweeps_first(database, worker):
    first = sweeps.enqueue(database, "first", {}, wanted(3)).added
    second = sweeps.enqueue(database, "second", {}, wanted(2, env="f")).added
    assert [run_queue.claim(database, worker) for _ in range(6)] == [*first, *second, None]
    assert run_queue.count_waiting(database) == 0


def test_a_worker_of_one_sweep_takes_no_run_of_another(database, worker):
    sweeps.enqueue(database, "first", {}, wanted(1))
    (run_id,) = sweeps.enqueue(database, "second", {}, wanted(1, env="f")).added
    assert [run_queue.claim(database, worker, "second") for _ in range(2)] == [run_id, None]


def test_a_sweep_is_renamed_under_its_workers(database):
    made = sweeps.enqueue(database, "old", {}, wanted(2), new_id="0123456789abcdef")
    sweeps.enqueue(database, "other", {}, wanted(1, env="f"))
    registered = Registered(database, 1, "old")
    assert run_queue.claim(database, registered.id, "old") == made.added[0]
    sweeps.rename(database, "old", "new")
    assert [worker["sweep"] for worker in workers.listing(database)] == ["new"]
    workers.forget(database, registered.id)  # taken for dead
    registered.renew()
    assert [run_queue.claim(database, registered.id, "old") for _ in range(2)] == [made.added[1], None]
    registered.end("done")
    with pytest.raises(StoreError, match="there is a sweep 'other' already: choose another name"):
        sweeps.rename(database, "new", "other")
    with pytest.raises(SweepNotFound):
        sweeps.rename(database, "old", "third")
    again = sweeps.enqueue(database, "old", {}, wanted(2), new_id="0123456789abcdef")  # as typed before
    assert (again.sweep_id == made.sweep_id, again.shared) == (False, made.added)


def test_the_same_configuration_is_one_run_whoever_asks(database):
    first = sweeps.enqueue(database, "first", {"n": 1}, wanted(2))
    again = sweeps.enqueue(database, "first", {"n": 2}, wanted(3))
    assert (again.known, len(again.added)) == (first.added, 1)
    other = sweeps.enqueue(database, "other", {}, wanted(4))
    assert (other.shared, len(other.added)) == ([*first.added, *again.added], 1)
    twice = sweeps.enqueue(database, "twice", {}, [*wanted(1, env="g"), *wanted(1, env="g")])
    assert (len(twice.added), twice.known, twice.shared) == (1, [], [])
    assert len(sweeps.enqueue(database, "anew", {}, wanted(4), again=True).added) == 4
    assert sweeps.get(database, "first")["definition"] == {"n": 2}


def test_what_was_trained_otherwise_counts_but_not_for_another_purpose(database):
    new = wanted(1)[0]
    trained = runs.create(database, run=new.run, hyperparameters=new.hyperparameters)
    runs.set_status(database, trained, "completed")
    assert sweeps.enqueue(database, "s", {}, [new]).shared == [trained]
    assert sweeps.enqueue(database, "s", {}, wanted(1, kind="tuning")).shared == []
    assert sweeps.on_record(database, [*wanted(2)]) == [trained, None]


def test_an_interrupted_run_that_a_sweep_wants_is_queued_and_a_failed_one_is_not(database, worker):
    for state, claimed in (("interrupted", True), ("failed", False), ("diverged", False)):
        new = wanted(1, env=state)[0]
        run_id = runs.create(database, run=new.run, hyperparameters=new.hyperparameters)
        runs.set_status(database, run_id, state)
        sweeps.enqueue(database, state, {}, [new])
        assert run_queue.claim(database, worker) == (run_id if claimed else None)


def test_runs_of_a_paused_sweep_wait_until_it_goes_on(database, worker):
    made = sweeps.enqueue(database, "s", {}, wanted(1))
    (run_id,) = made.added
    assert sweeps.set_state(database, "s", "paused") == "active"
    assert run_queue.claim(database, worker) is None
    assert run_queue.count_waiting(database, made.sweep_id, "paused") == 1
    assert sweeps.set_state(database, "s", "active") == "paused"
    assert run_queue.claim(database, worker) == run_id


def test_cancelling_ends_what_waits_unless_another_sweep_wants_it(database, worker):
    own, shared = sweeps.enqueue(database, "s", {}, wanted(2)).added
    busy = run_queue.claim(database, worker)
    assert busy == own
    sweeps.enqueue(database, "other", {}, wanted(2)[1:])
    (third,) = sweeps.enqueue(database, "s", {}, wanted(3)).added
    sweeps.set_state(database, "s", "cancelled")
    assert [status(database, run_id) for run_id in (own, shared, third)] == ["queued", "queued", "cancelled"]
    assert run_queue.progress(database, worker, [busy])[busy]["wants"] == 0
    assert run_queue.release(database, busy, worker, "stopped") == "cancelled"
    assert run_queue.claim(database, worker) == shared
    assert sorted(sweeps.retry(database, "s")) == sorted([own, third])
    assert sweeps.get(database, "s")["state"] == "active"


def test_a_run_that_crashes_gets_three_attempts_and_more_as_long_as_it_gets_farther(database, worker):
    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added

    def attempt(reach: int | None = None, **how: bool) -> str | None:
        assert run_queue.claim(database, worker) == run_id
        since = run_queue.checkpoint_step(database, run_id)
        runs.set_status(database, run_id, "running")
        if reach is not None:
            checkpoint(database, run_id, reach)
        return run_queue.crashed(database, run_id, worker, "oops", since=since, **how)

    assert [attempt(), attempt(), attempt(reach=3), attempt(), attempt()] == [*["queued"] * 4, "failed"]
    run = runs.get(database, run_id)
    assert (run["reason"], run["attempts"], run_queue.claim(database, worker)) == ("oops (3 attempts)", 3, None)
    assert sweeps.retry(database, "s") == [run_id]
    assert attempt(final=True) == "failed"
    assert runs.get(database, run_id)["reason"] == "oops"


def test_a_worker_that_lost_a_run_can_change_nothing_of_it(database, worker):
    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added
    run_queue.claim(database, worker)
    other = Registered(database, 1, None)
    assert run_queue.release(database, run_id, other.id, "mine") is None
    assert run_queue.crashed(database, run_id, other.id, "mine", since=0) is None
    assert run_queue.progress(database, other.id, [run_id]) == {}
    assert (run_queue.still_claimed(database, run_id, worker), run_queue.still_claimed(database, run_id, other.id)) == (
        1,
        0,
    )
    other.end("done")


def test_a_dead_worker_is_replaced_and_a_living_one_is_not(database, worker):
    claimed, begun = sweeps.enqueue(database, "s", {}, wanted(2)).added
    dead = Registered(database, 1, None)
    assert {run_queue.claim(database, dead.id), run_queue.claim(database, dead.id)} == {claimed, begun}
    runs.set_status(database, begun, "running", host=socket.gethostname())
    watch = Watch()
    assert run_queue.take_over(database, watch) == ([], False)
    dead._lock.release()  # as the kernel does when it is killed
    assert run_queue.take_over(database, watch)[0] == [claimed]
    assert [row["id"] for row in workers.listing(database)] == [worker]
    lock = database.run_folder(begun) / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()  # nobody holds it
    assert run_queue.take_over(database, watch) == ([begun], False)
    assert {run_queue.claim(database, worker), run_queue.claim(database, worker)} == {claimed, begun}
    assert not database.run_folder(workers.lock_name(dead.id)).exists()


def test_a_worker_that_was_declared_dead_registers_anew_and_never_judges_itself(database):
    kept, freed = sweeps.enqueue(database, "s", {}, wanted(2)).added
    revived = Registered(database, 1, None)
    before = revived.id
    assert {run_queue.claim(database, before), run_queue.claim(database, before)} == {kept, freed}
    workers.forget(database, before)
    assert run_queue.take_over(database, Watch(), before) == ([], False)
    for act in (revived.beat, lambda: run_queue.claim(database, before)):
        with pytest.raises(WorkerEnded, match="it registers anew"):
            act()
    with database.transaction() as session:
        session.execute(workers.update(workers.Run).where(workers.Run.id == freed).values(worker_id=None))
    revived.renew()
    revived.beat()
    assert revived.id != before
    assert [row["id"] for row in workers.listing(database)] == [revived.id]
    assert run_queue.still_claimed(database, kept, revived.id)
    assert run_queue.claim(database, revived.id, without=[freed]) is None
    assert run_queue.claim(database, revived.id) == freed
    revived.end("done")
    assert list(database.files.glob("worker-*")) == []


@pytest.mark.parametrize(("state", "attempts"), [("interrupted", 0), ("failed", 1)])
def test_what_ended_after_its_worker_died_is_settled_by_another(database, worker, state, attempts):
    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added
    dead = Registered(database, 1, None)
    run_queue.claim(database, dead.id)
    runs.set_status(database, run_id, state, reason="SIGTERM")
    assert run_queue.take_over(database, Watch()) == ([], False)
    dead._lock.release()
    assert run_queue.take_over(database, Watch()) == ([run_id], False)
    run = runs.get(database, run_id)
    assert (run["status"], run["attempts"], run["reason"], run["worker_id"]) == ("queued", attempts, None, None)


def test_another_hosts_clock_does_not_matter(database, worker, monkeypatch):
    """Only whether a heartbeat changes, by this process's own clock; that of the other may be years off."""
    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added
    run_queue.claim(database, worker)
    years_ago = "2001-01-01T00:00:{:02d}.000000Z"
    clock = [1000.0]
    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])

    def beat(second: int) -> None:
        with database.transaction() as session:
            session.execute(
                workers.update(workers.Worker).values(host="elsewhere", heartbeat_at=years_ago.format(second))
            )

    watch = Watch()
    beat(0)
    assert run_queue.take_over(database, watch) == ([], True)  # nobody knows yet
    clock[0] += 40
    beat(1)
    assert run_queue.take_over(database, watch) == ([], False)  # it beats
    clock[0] += 59
    assert run_queue.take_over(database, watch) == ([], False)
    clock[0] += 2
    assert run_queue.take_over(database, watch) == ([run_id], False)


def test_an_attempt_without_a_checkpoint_leaves_nothing_behind(database, worker):
    from store.records.recorder import Recorder

    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added
    recorder = Recorder(database, run_id)
    recorder.episode(0, 5, 1.0, 5, 0.1, False, True)
    recorder.progress(5, 0.1)
    recorder.close("interrupted")
    run_queue.start_over(database, run_id)
    assert runs.latest(database, run_id)["counts"]["episode"] == 0
    run = runs.get(database, run_id)
    assert (run["step"], run["started_at"]) == (0, None)


def test_an_unknown_sweep_is_one_line(database):
    for ask in (sweeps.get, sweeps.retry, lambda db, name: sweeps.set_state(db, name, "paused")):
        with pytest.raises(SweepNotFound, match="no sweep 'nix'"):
            ask(database, "nix")


def take(location: str, start: Any, taken: Any) -> None:
    with Database.write(location) as db:
        registered = Registered(db, 1, None)
        start.wait()
        while (run_id := run_queue.claim(db, registered.id)) is not None:
            taken.put(run_id)
        registered.end("done")


def test_workers_that_start_at_the_same_instant_never_claim_the_same_run(database, location):
    ids = sweeps.enqueue(database, "s", {}, wanted(MANY)).added
    spawn = multiprocessing.get_context("spawn")
    start, taken = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=take, args=(location, start, taken)) for _ in range(4)]
    for process in processes:
        process.start()
    claims = [taken.get(timeout=60) for _ in range(MANY)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert taken.empty()
    assert sorted(claims) == sorted(ids)
