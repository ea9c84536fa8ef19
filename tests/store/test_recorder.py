"""What training records, and what becomes of it when the disk fails or the run goes on from a checkpoint."""

from __future__ import annotations

import math
import time

import pytest
from sqlalchemy import text

from store import frames, runs
from store.errors import CannotWrite, DatabaseLocked, RunNotFound
from store.recorder import Recorder
from store.session import Database

HOLD = text("UPDATE run SET note = note")  # and nobody else may write to a run until the transaction ends


@pytest.fixture
def still(monkeypatch):
    """The recorder's thread stays asleep, so that only `flush` and `close` write."""
    monkeypatch.setattr("store.recorder.INTERVAL", 1e6)


@pytest.fixture
def impatient(database, monkeypatch):
    """The same database with connections that wait for no lock."""
    monkeypatch.setattr("store._sqlite.BUSY_TIMEOUT", 0.02)
    with Database.write(database.location) as other:
        yield other


def record(recorder, number, *, return_=None, loss=None, length=100):
    """Episode `number` of a made-up training, with a metric at its end and an evaluation after every second one."""
    step = (number + 1) * 100
    wall_time = time.time()
    recorder.episode(number, step, number / 3 if return_ is None else return_, length, wall_time, False, True)
    recorder.metrics(step, {"loss": math.nan if number == 5 else number / 7, "steady": 1.0} | (loss or {}))
    if number % 2:
        for index, actions in enumerate(("mean", "sampled")):
            recorder.evaluation(step, actions, 0, number + index, 50)
    recorder.progress(step, wall_time)


def rows(database, run_id):
    """Everything on record but the wall times."""
    return {
        "episodes": frames.episodes(database, [run_id]).drop(columns="wall_time").to_csv(),
        "evaluations": frames.evaluations(database, [run_id]).to_csv(),
        "metrics": frames.metrics(database, [run_id]).to_csv(),
    }


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


def test_rows_arrive_within_a_second_without_asking(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    record(recorder, 0)
    deadline = time.monotonic() + 3
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
    monkeypatch.setattr("store.recorder.INTERVAL", 0.01)
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
    monkeypatch.setattr("store.recorder.INTERVAL", 0.01)
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


@pytest.mark.usefixtures("still")
def test_a_run_that_is_deleted_meanwhile(database, make_run):
    run_id = make_run(status="completed")
    recorder = Recorder(database, run_id)
    runs.delete(database, [run_id])
    record(recorder, 0)
    with pytest.raises(RunNotFound, match="was deleted from"):
        recorder.close("completed")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("checkpoint", [0, 400, 700, 1000])
def test_an_exact_resume_confirms_every_row(database, make_run, checkpoint):
    run_id = make_run()
    first = Recorder(database, run_id)
    for number in range(10):
        record(first, number)
    first.close("interrupted")
    before, wall_times = rows(database, run_id), frames.episodes(database, [run_id])["wall_time"].tolist()
    second = Recorder(database, run_id, resume_from=checkpoint)
    for number in range(checkpoint // 100, 10):
        record(second, number)
        if number % 3 == 0:
            second.flush()
    second.flush()
    assert rows(database, run_id) == before
    assert frames.episodes(database, [run_id])["wall_time"].tolist() == wall_times
    record(second, 10)
    second.close("completed")
    assert not second.approximate
    assert runs.get(database, run_id)["exactness"] == "exact"
    assert len(frames.episodes(database, [run_id])) == 11


def fresh_rows(database, run_id, changed):
    recorder = Recorder(database, run_id)
    for number in range(12):
        record(recorder, number, **changed.get(number, {}))
    recorder.close("completed")
    return {name: csv.replace(run_id, "") for name, csv in rows(database, run_id).items()}


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({6: {"return_": 1e9}}, "first in episode 6"),
        ({6: {"return_": math.nan}, 7: {"return_": 0.0}}, "first in episode 6"),
        ({7: {"length": 99}}, "first in episode 7"),
        ({5: {"loss": {"loss": 0.5}}}, "first in loss at step 600"),
        ({8: {"loss": {"steady": math.inf}}, 9: {"return_": 0.0}}, "first in steady at step 900"),
    ],
)
def test_a_resume_that_differs_is_marked_and_its_rows_replace_the_old(database, make_run, changed, what, in_one_batch):
    run_id = make_run()
    first = Recorder(database, run_id)
    for number in range(10):
        record(first, number)
    first.close("interrupted")
    second = Recorder(database, run_id, resume_from=400)
    for number in range(4, 12):
        record(second, number, **changed.get(number, {}))
        if not in_one_batch:
            second.flush()
    second.close("completed")
    assert second.approximate
    assert runs.get(database, run_id)["exactness"] == "approximate"
    marks = [row for row in runs.events(database, run_id) if row["kind"] == "approximate"]
    assert [what in mark["message"] for mark in marks] == [True]
    assert marks[0]["data"]["recorded"] != marks[0]["data"]["recomputed"]
    expected = fresh_rows(database, make_run(), changed)
    assert {name: csv.replace(run_id, "") for name, csv in rows(database, run_id).items()} == expected


@pytest.mark.usefixtures("still")
def test_rows_that_a_resume_does_not_reach_again_count_as_a_difference(database, make_run):
    run_id = make_run()
    first = Recorder(database, run_id)
    for number in range(10):
        record(first, number)
    first.close("interrupted")
    second = Recorder(database, run_id, resume_from=400)
    second.episode(4, 500, 4 / 3, 100, 0.0, False, True)  # and no metrics
    second.progress(500, 1.0)
    second.flush()
    assert not second.approximate  # they may still come
    second.progress(501, 1.0)
    second.flush()
    assert second.approximate
    assert frames.episodes(database, [run_id])["number"].tolist() == [0, 1, 2, 3, 4]
    second.close("interrupted")


@pytest.mark.usefixtures("still")
def test_an_interrupted_resume_leaves_the_rest_to_be_confirmed_later(database, make_run):
    run_id = make_run()
    for start, stop in ((0, 10), (4, 6), (5, 10)):
        recorder = Recorder(database, run_id, resume_from=start * 100 if start else None)
        for number in range(start, stop):
            record(recorder, number)
        recorder.close("interrupted")
        assert not recorder.approximate
    assert frames.episodes(database, [run_id])["number"].tolist() == list(range(10))
    with database.connect() as session:
        assert session.scalar(text("SELECT count(*) FROM event WHERE kind = 'approximate'")) == 0


@pytest.mark.usefixtures("still")
def test_a_call_costs_next_to_nothing(database, make_run):
    recorder = Recorder(database, make_run())
    fastest = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for step in range(2000):
            recorder.progress(step, 1.0)
        fastest = min(fastest, (time.perf_counter() - start) / 2000)
    recorder.close("completed")
    assert fastest < 2e-6  # against a millisecond for a training step; measured 0.1 µs


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("again", ["nothing", "the same", "different"])
def test_rows_at_the_step_of_the_checkpoint_may_come_again(database, make_run, again):
    run_id = make_run()
    first = Recorder(database, run_id)
    record(first, 3)
    record(first, 4)
    first.close("interrupted")
    second = Recorder(database, run_id, resume_from=400)
    if again != "nothing":
        second.evaluation(400, "mean", 0, 3.0 if again == "the same" else 3.5, 50)
        second.flush()
        second.evaluation(400, "sampled", 0, 4.0, 50)
    record(second, 4)
    second.close("completed")
    assert second.approximate is (again == "different")
    assert frames.evaluations(database, [run_id])["return"].tolist() == [3.5 if second.approximate else 3.0, 4.0]
    assert frames.episodes(database, [run_id])["number"].tolist() == [3, 4]
    assert len(frames.metrics(database, [run_id])) == 4


@pytest.mark.usefixtures("still")
def test_a_resume_is_marked_once(database, make_run):
    run_id = make_run()
    first = Recorder(database, run_id)
    record(first, 3)
    first.close("interrupted")
    second = Recorder(database, run_id, resume_from=400)
    for actions in ("mean", "sampled"):
        second.evaluation(400, actions, 0, -1.0, 50)
        second.flush()
    second.close("completed")
    assert [row["kind"] for row in runs.events(database, run_id)].count("approximate") == 1
    assert frames.evaluations(database, [run_id])["return"].tolist() == [-1.0, -1.0]
