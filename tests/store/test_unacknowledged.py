"""A process that dies, or loses its connection, after a commit and before it hears of it: the retry changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from backends import on_postgresql
from sqlalchemy import func, select

from store.queue import run_queue, sweeps
from store.queue.workers import Registered
from store.records import exports, imports, runs, selections
from store.records.insertion import NewRun
from store.records.marks import mark
from store.records.recorder import Recorder
from store.schema.models import Base, Episode, Event
from store.session import Database
from store.transfer.merge import merge


class Killed(BaseException):
    """What a process does not live to see."""


@contextmanager
def killed_after_commit(database: Database, ending: Callable[[Any], None] | None = None) -> Iterator[None]:
    """The next commit succeeds, and nobody hears of it. It must happen."""
    dialect, pending = database.engine.dialect, [True]
    original = dialect.do_commit

    def commit(connection: Any) -> None:
        original(connection)
        if pending:
            pending.clear()
            if ending is not None:
                ending(connection)
            raise Killed

    dialect.do_commit = commit
    try:
        yield
    except Killed:
        pass
    finally:
        del dialect.do_commit
    assert not pending, "nothing was committed"


def everything(database: Database) -> dict[str, list[str]]:
    """All rows, times aside."""
    with database.connect() as session:
        return {
            table.name: sorted(
                repr(tuple(row)) for row in session.execute(select(*(c for c in table.c if not c.name.endswith("_at"))))
            )
            for table in Base.metadata.sorted_tables
        }


def wanted(count: int) -> list[NewRun]:
    settings = [{"name": "m", "value": 1, "origin": "default"}]
    return [NewRun({"algo": "sac", "env": "e", "seed": seed, "steps": 9}, settings) for seed in range(count)]


def imported(database: Database) -> tuple[str, bool]:
    rows = [imports.EpisodeRow(9, 1.0), imports.EpisodeRow(18, 2.0)]
    origin = {"path": "log.csv", "sha256": "ab" * 32}
    return imports.record(
        database, run={"algo": "ppo", "env": "e", "seed": 0, "steps": 18}, origin=origin, episodes=rows
    )


@pytest.fixture
def worker(database: Database) -> Iterator[str]:
    registered = Registered(database, 1, None)
    yield registered.id
    registered.end("done")


def test_what_a_user_repeats(database, make_run, tmp_path):
    run_id = make_run(status="completed")
    with Database.write(str(tmp_path / "other.db")) as other:
        runs.create(other, run={"algo": "sac", "env": "e", "seed": 7, "steps": 9, "status": "completed"}, tags=["t"])
        selections.freeze(other, "theirs", [run["id"] for run in runs.listing(other)])
        commands: list[Callable[[], Any]] = [
            lambda: mark(database, [run_id], kind="tuning", tags=["a"], note="n"),
            lambda: selections.freeze(database, "paper", [run_id]),
            lambda: exports.record(database, "key", "dapo table", {"a": 1}),
            lambda: sweeps.enqueue(database, "s", {}, wanted(3)),
            lambda: imported(database),
        ]
        for command in commands:
            with killed_after_commit(database):
                command()
            before = everything(database)
            command()
            assert everything(database) == before
        with killed_after_commit(database):  # the first of several: each run is one
            merge(database, other.location)
        merge(database, other.location)
        before = everything(database)
        assert set(runs_of(other)) <= set(runs_of(database))
        merge(database, other.location)
        assert everything(database) == before


def runs_of(database: Database) -> list[str]:
    return [run["id"] for run in runs.listing(database)]


def test_a_claim_that_the_worker_did_not_hear_of_is_given_to_it_again(database, worker):
    first, second = sweeps.enqueue(database, "s", {}, wanted(2)).added
    with killed_after_commit(database):
        run_queue.claim(database, worker, having=[])
    assert run_queue.claim(database, worker, having=[]) == first
    assert run_queue.claim(database, worker, having=[first]) == second
    assert run_queue.claim(database, worker, having=[first, second]) is None


def test_an_attempt_that_crashed_counts_once(database, worker):
    (run_id,) = sweeps.enqueue(database, "s", {}, wanted(1)).added
    for end in (
        lambda: run_queue.crashed(database, run_id, worker, "oops", since=0),
        lambda: run_queue.release(database, run_id, worker, "stopped"),
    ):
        run_queue.claim(database, worker)
        with killed_after_commit(database):
            end()
        before = everything(database)
        assert end() is None
        assert everything(database) == before
    assert runs.get(database, run_id)["attempts"] == 1


def fill(recorder: Recorder) -> None:
    for number in range(3):
        recorder.episode(number, 10 * number + 10, float(number), 10, 0.1 * number, False, True)
        recorder.evaluation(10 * number + 10, "mean", 0, float(number), 10)
        recorder.metrics(10 * number + 10, {"loss": 0.5})
    recorder.progress(30, 0.3)


@pytest.mark.usefixtures("still")
def test_a_resumed_run_records_nothing_twice(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    fill(recorder)
    with killed_after_commit(database):
        recorder.flush()
    before = everything(database)
    again = Recorder(database, run_id, resume_from=0)
    fill(again)
    again.flush()
    assert everything(database) == before
    assert not again.approximate
    with killed_after_commit(database):
        again.close("completed")
    assert runs.get(database, run_id)["status"] == "completed"


@on_postgresql
@pytest.mark.usefixtures("still")
def test_a_recorder_whose_connection_breaks_after_the_commit_records_nothing_twice(database, make_run):
    def lose(connection: Any) -> None:
        connection.dbapi_connection.close()
        raise database.engine.dialect.loaded_dbapi.OperationalError("server closed the connection unexpectedly")

    run_id = make_run()
    recorder = Recorder(database, run_id)
    fill(recorder)
    recorder.event("mark", "once")
    with killed_after_commit(database, lose):
        recorder.flush()
    recorder.close("completed")
    with database.connect() as session:
        assert session.scalar(select(func.count()).select_from(Episode)) == 3
        assert session.scalar(select(func.count()).where(Event.kind == "mark")) == 1
    assert runs.get(database, run_id)["status"] == "completed"
