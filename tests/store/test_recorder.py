"""What training records, and what becomes of it when the disk fails."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from backends import on_sqlite
from made_up import record
from sqlalchemy import text

from store import frames
from store.errors import CannotWrite, DatabaseLocked, RunNotFound
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

HOLD = text("UPDATE run SET note = note")  # and nobody else may write to a run until the transaction ends


@pytest.fixture
def impatient(database, monkeypatch):
    """The same database with connections that wait for no lock."""
    monkeypatch.setattr("store.connection.sqlite.BUSY_TIMEOUT", 0.02)
    monkeypatch.setattr("store.records.recorder.PATIENCE", 0.0)
    with Database.write(database.location) as other:
        yield other


@pytest.mark.usefixtures("still")
def test_everything_recorded_is_there_after_a_flush(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.episode(0, 100, 1.5, 100, 0.25, True, False)
    recorder.evaluation(100, "sampled", 3, -2.5, 90)
    recorder.metrics(100, {"loss": 0.1, "temperature": 0.2})
    recorder.event("resumed", "again", 100, {"host": "here"})
    recorder.progress(120, 0.5)
    assert len(frames.episodes(database, [run_id])) == 0
    recorder.flush()
    assert frames.episodes(database, [run_id]).to_dict("records") == [
        {
            "run_id": run_id,
            "number": 0,
            "step": 100,
            "return": 1.5,
            "length": 100,
            "wall_time": 0.25,
            "terminated": True,
            "truncated": False,
        }
    ]
    assert frames.evaluations(database, [run_id]).iloc[0].tolist() == [run_id, 100, "sampled", 3, -2.5, 90]
    assert frames.metrics(database, [run_id])["value"].tolist() == [0.1, 0.2]
    assert runs.events(database, run_id)[-1]["data"] == {"host": "here"}
    run = runs.get(database, run_id)
    assert (run["status"], run["step"], run["wall_time"]) == ("running", 120, 0.5)
    assert run["heartbeat_at"] > run["created_at"]
    recorder.close("completed")


def test_rows_arrive_without_asking(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    record(recorder, 0)
    deadline = time.monotonic() + 60  # a busy machine may take its time
    while not len(frames.episodes(database, [run_id])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(frames.episodes(database, [run_id])) == 1
    assert runs.get(database, run_id)["step"] == 100
    recorder.close("completed")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("status", "reason"), [("completed", None), ("diverged", "critic_loss is nan at step 100")])
def test_closing_ends_the_run_in_one_transaction(database, make_run, status, reason):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    record(recorder, 0)
    for _ in range(2):
        recorder.close(status, reason)
    run = runs.get(database, run_id)
    assert (run["status"], run["reason"], run["step"]) == (status, reason, 100)
    assert run["ended_at"] > run["created_at"]
    ending = runs.events(database, run_id)[1:]
    assert [(row["kind"], row["message"], row["step"]) for row in ending] == [(status, reason or status, 100)]
    assert len(frames.episodes(database, [run_id])) == 1


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_stay_what_they_are(database, make_run, number):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.episode(0, 1, number, 1, 0.0, False, True)
    recorder.evaluation(1, "mean", 0, number, 1)
    recorder.metrics(1, {"loss": number})
    recorder.close("diverged")
    for frame, column in (("episodes", "return"), ("evaluations", "return"), ("metrics", "value")):
        assert str(getattr(frames, frame)(database, [run_id])[column][0]) == str(number)
    latest = runs.latest(database, run_id)
    found = (latest["episodes"][0]["return"], latest["evaluation"]["returns"][0], latest["metrics"]["loss"])
    assert [str(value) for value in found] == [str(number)] * 3


@pytest.mark.usefixtures("still")
def test_a_failed_write_loses_no_row(database, impatient, make_run):
    run_id = make_run()
    recorder = Recorder(impatient, run_id)
    record(recorder, 0)
    with database.transaction() as session:
        session.execute(HOLD)
        with pytest.raises(DatabaseLocked):
            recorder.flush()
    record(recorder, 1)
    recorder.flush()
    assert frames.episodes(database, [run_id])["number"].tolist() == [0, 1]
    recorder.close("completed")


def test_an_error_of_the_thread_is_raised_by_the_next_call(database, make_run, monkeypatch):
    monkeypatch.setattr("store.records.recorder.INTERVAL", 0.01)
    run_id = make_run()
    recorder = Recorder(database, run_id)
    record(recorder, 0)
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise CannotWrite("the disk is full")

        patch.setattr(Recorder, "_write", full)
        recorder._thread.join(5)
        calls = (
            lambda: record(recorder, 1),
            lambda: recorder.evaluation(1, "mean", 0, 1.0, 1),
            lambda: recorder.metrics(1, {}),
            lambda: recorder.event("resumed", "x"),
            lambda: recorder.progress(1, 1.0),
            recorder.flush,
            lambda: recorder.close("failed"),
        )
        for call in calls:
            with pytest.raises(CannotWrite, match="the disk is full"):
                call()
    recorder.close("failed", "full")
    assert frames.episodes(database, [run_id])["number"].tolist() == [0]
    assert runs.get(database, run_id)["reason"] == "full"


def test_a_locked_database_is_tried_again_until_somebody_insists(database, impatient, make_run, monkeypatch):
    monkeypatch.setattr("store.records.recorder.INTERVAL", 0.01)
    run_id = make_run()
    recorder = Recorder(impatient, run_id)
    with database.transaction() as session:
        session.execute(HOLD)
        record(recorder, 0)
        recorder._thread.join(0.5)
        record(recorder, 1)
        with pytest.raises(DatabaseLocked, match="another process keeps it locked"):
            recorder.flush()
    recorder.close("completed")
    assert frames.episodes(database, [run_id])["number"].tolist() == [0, 1]


@on_sqlite  # a server waits by itself
@pytest.mark.usefixtures("still")
def test_a_checkpoint_waits_for_a_lock_and_a_stop_cuts_that_short(database, impatient, make_run, monkeypatch):
    run_id = make_run()
    recorder = Recorder(impatient, run_id)
    record(recorder, 0)
    impatient.patience = 600.0
    monkeypatch.setattr("store.session.HURRY", 0.0)
    began, stopped = threading.Event(), []

    def asked() -> bool:
        began.set()
        return bool(stopped)

    impatient.hurried = asked
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            session.execute(HOLD)
            waiting = pool.submit(recorder.flush)
            assert began.wait(60)  # it has been refused once, and tries again
            assert not waiting.done()
        waiting.result(60)
        with database.transaction() as session:
            session.execute(HOLD)
            stopped.append(True)
            with pytest.raises(DatabaseLocked):
                pool.submit(recorder.flush).result(60)
    recorder.close("completed")
    assert frames.episodes(database, [run_id])["number"].tolist() == [0]


@pytest.mark.usefixtures("still")
def test_a_run_that_is_deleted_meanwhile(database, make_run):
    run_id = make_run(status="completed")
    recorder = Recorder(database, run_id)
    runs.delete(database, [run_id])
    record(recorder, 0)
    with pytest.raises(RunNotFound, match="was deleted from"):
        recorder.close("completed")


@pytest.mark.usefixtures("still")
def test_a_call_costs_next_to_nothing(database, make_run):
    recorder = Recorder(database, make_run())
    fastest = math.inf
    for _ in range(5):
        start = time.thread_time()  # whatever else the machine does
        for step in range(2000):
            recorder.progress(step, 1.0)
        fastest = min(fastest, (time.thread_time() - start) / 2000)
    recorder.close("completed")
    assert fastest < 2e-6  # against a millisecond for a training step; measured 0.1 µs
