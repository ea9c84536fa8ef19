"""Marks: what changes, what the events say, and that a run being trained is not disturbed."""

from __future__ import annotations

import pytest

from store.errors import RunNotFound
from store.records import marks, runs
from store.records.recorder import Recorder


def test_a_mark_changes_what_it_names_and_leaves_an_event(database, make_run):
    run_id = make_run(tags=("draft", "old"), note="a try", step=400)
    other = make_run(tags=("draft",))
    changed = marks.mark(
        database, [run_id], kind="tuning", tags=["grid", "draft"], untag=["old", "absent"], note="β too high"
    )
    assert changed == [run_id]
    run = runs.get(database, run_id)
    assert (run["kind"], run["tags"], run["note"]) == ("tuning", ["draft", "grid"], "β too high")
    event = runs.events(database, run_id)[-1]
    assert (event["kind"], event["step"]) == ("marked", 400)
    assert event["message"] == "for tuning, tag grid, no longer tag old, note 'β too high'"
    assert event["data"] == {
        "kind": {"before": "train", "after": "tuning"},
        "note": {"before": "a try", "after": "β too high"},
        "tagged": ["grid"],
        "untagged": ["old"],
    }
    assert runs.get(database, other)["tags"] == ["draft"]
    assert len(runs.events(database, other)) == 1


def test_what_is_so_already_leaves_no_event(database, make_run):
    done, new = make_run(tags=("a",), note="n"), make_run()
    assert marks.mark(database, [done, new], kind="train", tags=["a"], untag=["b"], note="n") == [new]
    assert [event["kind"] for event in runs.events(database, done)] == ["created"]
    assert marks.mark(database, [done, new], kind="train", tags=["a"], untag=["b"], note="n") == []


def test_an_empty_note_is_none(database, make_run):
    run_id = make_run(note="old")
    marks.mark(database, [run_id], note="")
    assert runs.get(database, run_id)["note"] is None
    assert runs.events(database, run_id)[-1]["message"] == "no note"


def test_all_runs_are_marked_or_none(database, make_run):
    run_id = make_run()
    with pytest.raises(RunNotFound, match="no run 'ffff'"):
        marks.mark(database, [run_id, "ffff"], kind="tuning")
    assert runs.get(database, run_id)["kind"] == "train"
    with pytest.raises(ValueError, match="no such kind"):
        marks.mark(database, [run_id], kind="reporting")


def test_a_run_is_marked_while_it_trains(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.episode(0, 10, 1.0, 10, 0.1, False, True)
    recorder.progress(10, 0.1)
    recorder.flush()
    marks.mark(database, [run_id], kind="tuning", tags=["grid"], note="seen")
    recorder.episode(1, 20, 1.0, 10, 0.2, False, True)
    recorder.progress(20, 0.2)
    recorder.close("completed")
    run = runs.get(database, run_id)
    assert (run["kind"], run["tags"], run["note"]) == ("tuning", ["grid"], "seen")
    assert (run["status"], run["step"]) == ("completed", 20)
    assert [event["kind"] for event in runs.events(database, run_id)] == ["created", "marked", "completed"]
