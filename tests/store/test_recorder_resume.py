"""What a recorder makes of rows that a resumed run records again."""

from __future__ import annotations

import math

import pytest
from made_up import record, rows
from sqlalchemy import text

from store import frames
from store.records import runs
from store.records.recorder import Recorder


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
