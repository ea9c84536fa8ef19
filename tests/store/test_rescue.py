"""A database file that vanishes under its writer: noticed at the next write, and every row goes into a copy."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backends import on_sqlite
from made_up import record

from store import frames
from store.connection import anchor, failures, sqlite
from store.errors import CannotWrite, StoreError, Vanished
from store.integrity import checking
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database
from store.transfer import merge

pytestmark = [on_sqlite, pytest.mark.usefixtures("still")]


def remove(database: Database) -> None:
    for name in sqlite.names(database.path):
        name.unlink()


def checkpoint(database: Database, run_id: str) -> None:
    folder = database.run_folder(run_id) / "checkpoints" / "000000000100"
    folder.mkdir(parents=True)
    (folder / "tensors").write_text("numbers")
    runs.add_checkpoint(database, run_id, step=100, path=f"checkpoints/{folder.name}", size=1, sha256="0")


def test_rows_of_all_runs_and_their_files_are_in_the_copy(database, location, make_run):
    done, run_id = make_run(status="completed"), make_run()
    checkpoint(database, done)
    recorder = Recorder(database, run_id)
    record(recorder, 0)
    recorder.flush()
    assert recorder.rescued is None
    remove(database)
    record(recorder, 1)
    recorder.flush()
    copy = Path(f"{location}.rescued-{run_id}")
    assert recorder.rescued == (
        f"runs.db was removed or renamed while run {run_id} was training: all rows are in {copy}: "
        f"bring them back with: dapo merge {copy} --db {location}"
    )
    assert not Path(location).exists()
    record(recorder, 2)
    recorder.close("interrupted")
    database.close()
    with Database.write(location) as fresh:
        assert sorted(merge.merge(fresh, str(copy)).added) == sorted([done, run_id])
        assert frames.episodes(fresh, [run_id])["number"].tolist() == [0, 1, 2]
        assert runs.get(fresh, run_id)["status"] == "interrupted"
        assert [row["step"] for row in runs.checkpoints(fresh, done)] == [100]
    assert checking.check(str(copy)).leftovers == []


def test_a_checkpoint_whose_files_vanished_too_is_not_on_record_in_the_copy(database, make_run):
    run_id = make_run()
    checkpoint(database, run_id)
    recorder = Recorder(database, run_id)
    for file in sorted(database.files.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    remove(database)
    recorder.close("interrupted")
    assert runs.checkpoints(database, run_id) == []


def test_files_that_cannot_be_brought_along_do_not_keep_the_run_from_stopping(database, make_run, monkeypatch):
    run_id = make_run()
    checkpoint(database, run_id)

    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("store.records.rescue.place", fail)
    recorder = Recorder(database, run_id)
    remove(database)
    recorder.close("interrupted")
    assert recorder.rescued
    assert runs.checkpoints(database, run_id) == []
    assert runs.get(database, run_id)["status"] == "interrupted"


@pytest.mark.parametrize(("number", "name"), [(0, "runs.db"), (1, "runs.db-wal"), (2, "runs.db-shm")])
def test_each_of_the_three_files_is_watched(database, number, name):
    path = sqlite.names(database.path)[number]
    database.look()
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(Vanished, match=f"{name} was removed or renamed while it was in use"):
        database.look()
    path.write_bytes(b"x")
    for access in (database.connect, database.transaction):
        with pytest.raises(Vanished, match=f"{name} was replaced by another file"), access():
            pass
    path.unlink()
    path.with_name("elsewhere").rename(path)
    database.look()


def test_another_database_in_its_place_is_not_mixed_with_the_log(database, location, make_run, tmp_path):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    Database.write(str(tmp_path / "other.db")).close()
    (tmp_path / "other.db").rename(location)
    recorder.close("completed")
    database.close()
    with closing(sqlite3.connect(location)) as other:
        assert other.execute("SELECT count(*) FROM run").fetchone() == (0,)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_copy_that_cannot_be_made_is_one_line_and_leaves_nothing(database, location, make_run, tmp_path, monkeypatch):
    recorder = Recorder(database, make_run())

    def full(_: object, target: Path) -> None:
        target.write_bytes(b"half")
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(anchor.Anchor, "copy", full)
    remove(database)
    with pytest.raises(CannotWrite, match=r"was removed or renamed while run \w+ was training, and can't be copied: "):
        recorder.flush()
    assert list(tmp_path.glob("runs.db.rescued*")) == []
    monkeypatch.undo()
    recorder.close("interrupted")
    assert recorder.rescued


def test_a_disk_that_does_not_answer_is_no_loss(database, monkeypatch):
    def fail(*_: object, **__: object) -> os.stat_result:
        raise PermissionError

    monkeypatch.setattr(Path, "stat", fail)
    database.look()


def test_of_a_file_no_error_speaks_of_a_server(database):
    connection = sqlite3.connect(":memory:")
    with pytest.raises(StoreError) as caught, failures.translated("x.db"):
        connection.execute("SELECT 1 FROM run")
    connection.close()
    assert str(caught.value) == "results database x.db: no such table: run: see what is wrong with it by: dapo db check"
