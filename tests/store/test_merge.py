"""Merging: everything arrives with its files, twice changes nothing, and two truths are a conflict."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from store.connection.locks import RunLock
from store.errors import StoreError
from store.integrity import checking
from store.records import runs, selections
from store.records.recorder import Recorder
from store.schema.models import Base, Export, Sweep
from store.session import Database
from store.transfer import maintenance, merge

GOLDEN = Path(__file__).parents[1] / "golden" / "schema-0001.db"
RUN = {"algo": "sac", "env": "e", "seed": 0, "steps": 100}


def record(db: Database, episodes: int, status: str = "completed", **columns: object) -> str:
    run_id = runs.create(db, run={**RUN, **columns}, hyperparameters=[{"name": "m", "value": 1, "origin": "default"}])
    go_on(db, run_id, 0, episodes, status)
    return run_id


def go_on(db: Database, run_id: str, start: int, stop: int, status: str = "completed", return_: float = 1.0) -> None:
    recorder = Recorder(db, run_id)
    for number in range(start, stop):
        recorder.episode(number, number + 1, return_ if number else float("nan"), 1, 0.5, False, True)
    recorder.evaluation(stop, "mean", 0, 2.0, 1)
    recorder.metrics(stop, {"critic_loss": 0.5})
    recorder.progress(stop, 1.0)
    recorder.close(status)
    place = f"checkpoints/{stop:012d}"
    folder = db.run_folder(run_id) / place
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(f"of step {stop}")
    runs.add_checkpoint(db, run_id, step=stop, path=place, size=1, sha256="0" * 64)


def contents(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, and every file."""
    with db.connect() as session:
        found = {
            table.name: sorted(map(tuple, session.execute(table.select())), key=repr)
            for table in Base.metadata.sorted_tables
        }
    found["files"] = sorted(
        (str(file.relative_to(db.files)), file.read_text())
        for file in db.files.rglob("*")
        if file.is_file() and file.name != "lock"
    )
    return found


def without_event_ids(found: dict[str, list[tuple[object, ...]]]) -> dict[str, object]:
    return {**found, "event": sorted(row[1:] for row in found["event"])}


@pytest.fixture
def other(tmp_path):
    with Database.write(str(tmp_path / "other.db")) as opened:
        yield opened


def test_everything_arrives_and_again_changes_nothing(results, other):
    with other.transaction() as session:
        session.execute(insert(Sweep), [{"id": "5" * 16, "name": "s", "definition": "{}", "created_at": "2026"}])
        session.execute(insert(Export), [{"key": "k", "created_at": "2026", "command": "c", "definition": "{}"}])
    ids = [record(other, 3), record(other, 2, "interrupted", sweep_id="5" * 16)]
    selections.freeze(other, "paper", ids)
    outcome = merge.merge(results, other.location)
    assert (sorted(outcome.added), outcome.sweeps, outcome.selections, outcome.exports) == (
        sorted(ids),
        ["s"],
        ["paper"],
        ["k"],
    )
    once = contents(results)
    assert without_event_ids(once) == without_event_ids(contents(other))
    file = Path("checkpoints/000000000003/manifest.json")
    assert (results.run_folder(ids[0]) / file).samefile(other.run_folder(ids[0]) / file)
    again = merge.merge(results, other.location)
    assert (again.added, again.updated, sorted(again.known), again.conflicts) == ([], [], sorted(ids), [])
    assert contents(results) == once


def test_a_run_that_went_on_is_brought_up_to_date_and_never_set_back(results, other, tmp_path):
    run_id = record(other, 3, "interrupted")
    merge.merge(results, other.location)
    with results.transaction() as session:
        session.execute(text("UPDATE run SET note = 'mine'"))
    stale = maintenance.backup(other.location, tmp_path / "stale.db")
    runs.set_status(other, run_id, "running")
    go_on(other, run_id, 3, 5)
    assert merge.merge(results, other.location).updated == [run_id]
    run = runs.get(results, run_id)
    assert (run["status"], run["step"], run["note"]) == ("completed", 5, "mine")
    held = contents(results)
    assert without_event_ids(held)["event"] == without_event_ids(contents(other))["event"]
    assert (held["episode"], held["files"]) == (contents(other)["episode"], contents(other)["files"])
    assert merge.merge(results, str(stale)).known == [run_id]
    assert contents(results) == held


def test_two_continuations_of_one_run_are_a_conflict(results, other):
    run_id = record(other, 3, "interrupted")
    merge.merge(results, other.location)
    for db, return_ in ((results, 5.0), (other, 6.0)):
        runs.set_status(db, run_id, "running")
        shutil.rmtree(db.run_folder(run_id))
        go_on(db, run_id, 3, 5, return_=return_)
    before = contents(results)
    (conflict,) = merge.merge(results, other.location).conflicts
    assert conflict == f"run {run_id} is another one over there: this database's stays"
    assert contents(results) == before


def test_names_that_mean_something_else_are_conflicts(results, other):
    for db, id_ in ((results, "a" * 16), (other, "b" * 16)):
        with db.transaction() as session:
            session.execute(insert(Sweep), [{"id": id_, "name": "s", "definition": "{}", "created_at": "2026"}])
            definition = {"key": "k", "created_at": "2026", "command": "c", "definition": f'{{"id": "{id_}"}}'}
            session.execute(insert(Export), [definition])
        selections.freeze(db, "paper", [record(db, 1)])
    outcome = merge.merge(results, other.location)
    assert [conflict.partition(" over there")[0] for conflict in outcome.conflicts] == [
        "there is another sweep 's'",
        "selection 'paper' holds other runs",
        "export k is another one",
    ]
    assert outcome.sweeps == ["s-bbbbbb"]
    assert len(merge.merge(results, other.location).conflicts) == 2


def test_a_living_run_is_left_alone_and_a_dead_one_is_interrupted(results, other):
    alive = record(other, 1, "running", host=socket.gethostname())
    dead = record(other, 1, "running", host=socket.gethostname())
    for run_id in (alive, dead):
        (other.run_folder(run_id) / "lock").touch()
    lock = RunLock(other.run_folder(alive) / "lock")
    lock.acquire()
    outcome = merge.merge(results, other.location)
    lock.release()
    assert (outcome.training, outcome.added) == ([alive], [dead])
    assert runs.get(results, dead)["status"] == "interrupted"


def test_an_older_schema_is_read_from_a_copy(results, tmp_path):
    old = Path(shutil.copy(GOLDEN, tmp_path / "old.db"))
    content = old.read_bytes()
    assert len(merge.merge(results, str(old)).added) == 2
    assert runs.count(results) == 2
    assert checking.check(results.location).problems == []
    assert old.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir() if "merging" in path.name or "before" in path.name) == []


@pytest.mark.parametrize("place", ["_write_run", "_merge_selections", "_merge_exports"])
def test_what_is_broken_off_leaves_whole_runs_and_the_next_merge_completes_it(results, other, monkeypatch, place):
    ids = sorted(record(other, 3) for _ in range(3))
    selections.freeze(other, "paper", ids)
    original, calls = getattr(merge, place), []

    def fail(session: Session, *rest: Any, **how: Any) -> None:
        calls.append(1)
        original(session, *rest, **how)
        if place != "_write_run" or len(calls) == 2:
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(merge, place, fail)
        with pytest.raises(RuntimeError):
            merge.merge(results, other.location)
    held = [run["id"] for run in runs.listing(results)]
    assert sorted(held) == (ids[:1] if place == "_write_run" else ids)
    assert checking.check(results.location).leftovers == []
    merge.merge(results, other.location)
    assert without_event_ids(contents(results)) == without_event_ids(contents(other))


def test_a_writer_waits_for_one_run_at_most(results, other, monkeypatch):
    """Between two runs of a merge the database is free, and so is the lock that keeps merges apart."""
    for _ in range(3):
        record(other, 1)
    monkeypatch.setattr("store.connection.sqlite.BUSY_TIMEOUT", 0.0)
    original, free = merge._decided, []

    def decided(*arguments: Any) -> str:
        with Database.write(results.location) as impatient:
            runs.create(impatient, run=RUN)
            free.append(1)
        return original(*arguments)

    monkeypatch.setattr(merge, "_decided", decided)
    assert len(merge.merge(results, other.location).added) == len(free) == 3


def test_a_run_that_is_trained_here_is_left_to_that(results, other, monkeypatch):
    run_id = record(other, 3, "interrupted")
    merge.merge(results, other.location)
    runs.set_status(other, run_id, "running")
    go_on(other, run_id, 3, 5)
    busy = [f"run {run_id} went on over there, and is being trained here: stop one of them"]
    lock = RunLock(results.run_folder(run_id) / "lock")
    lock.acquire()
    assert merge.merge(results, other.location).conflicts == busy
    lock.release()
    with results.transaction() as session:
        session.execute(text("UPDATE run SET status = 'queued', worker_id = 'w'"))
    assert merge.merge(results, other.location).conflicts == busy
    with results.transaction() as session:
        session.execute(text("UPDATE run SET status = 'interrupted', worker_id = NULL"))
    assert merge.merge(results, other.location).updated == [run_id]


def test_two_databases_that_are_merged_into_each_other_hold_the_same(results, other):
    for db in (results, other):
        record(db, 2)
    threads = [
        threading.Thread(target=merge.merge, args=(results, other.location)),
        threading.Thread(target=merge.merge, args=(other, results.location)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert without_event_ids(contents(results)) == without_event_ids(contents(other))


def test_a_database_is_not_merged_into_itself(results):
    with pytest.raises(StoreError, match="is the database that is merged into"):
        merge.merge(results, results.location)


def test_a_hostile_id_names_no_folder_outside(results, other, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    record(other, 1, id="../precious")
    merge.merge(results, other.location)
    runs.delete(results, ["../precious"])
    runs.delete(other, ["../precious"])
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["file"]
