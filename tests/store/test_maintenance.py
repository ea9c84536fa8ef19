"""What `dapo db` does."""

from __future__ import annotations

import errno
import resource
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from backends import on_sqlite
from sqlalchemy import text

from store import frames
from store.connection import reading
from store.connection.locks import RunLock
from store.errors import CannotWrite, NotADatabase, StoreError
from store.records import runs
from store.records.recorder import Recorder
from store.schema import revisions
from store.session import Database
from store.transfer import maintenance

GOLDEN = Path(__file__).parents[1] / "golden" / "schema-0001.db"


def checkpointed(database, make_run, **columns):
    """A run with an episode and a checkpoint of one file."""
    run_id = make_run(**columns)
    recorder = Recorder(database, run_id)
    recorder.episode(0, 1, 1.0, 1, 0.0, False, True)
    recorder.close("completed")
    folder = database.run_folder(run_id) / "checkpoints" / "1"
    folder.mkdir(parents=True)
    (folder / "state.safetensors").write_bytes(b"x" * 1000)
    runs.add_checkpoint(database, run_id, step=1, path="checkpoints/1", size=1000, sha256="a")
    return run_id


def test_info_counts_everything(database, make_run):
    checkpointed(database, make_run)
    make_run(heartbeat_at="2026-01-01T00:00:00Z", tags=("a", "b"))
    make_run()
    info = maintenance.info(database.location)
    assert (info["schema"], info["head"], info["location"]) == (revisions.HEAD, revisions.HEAD, database.location)
    assert info["runs"] == {"completed": 1, "interrupted": 1, "running": 1}
    assert (info["rows"]["run"], info["rows"]["tag"], info["rows"]["episode"], info["rows"]["sweep"]) == (3, 2, 1, 0)
    assert info["bytes"] > 4096
    assert info["files_bytes"] == 1000
    assert info["journal_mode"] in (("wal", "delete") if database.path else (None,))


def test_info_describes_older_and_newer_databases(tmp_path):
    old = shutil.copy(GOLDEN, tmp_path / "runs.db")
    info = maintenance.info(str(old))
    assert (info["schema"], info["runs"], info["rows"]["episode"]) == ("0001", {"completed": 1, "diverged": 1}, 20)
    with Database.write(str(old)) as database, database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert maintenance.info(str(old))["schema"] == "9999"


def test_upgrade_says_what_it_did(tmp_path):
    old = str(shutil.copy(GOLDEN, tmp_path / "runs.db"))
    assert maintenance.upgrade(old) == ("0001", revisions.HEAD, tmp_path / f"runs.db.before-{revisions.HEAD}")
    assert maintenance.upgrade(old) == (revisions.HEAD, revisions.HEAD, None)


@pytest.mark.parametrize("command", [maintenance.info, maintenance.upgrade])
def test_nothing_is_made_where_there_is_no_database(tmp_path, command):
    with pytest.raises(StoreError, match=r"no results database at .* yet"):
        command(str(tmp_path / "runs.db"))
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(NotADatabase):
        command(str(tmp_path / "text.db"))
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


@on_sqlite
def test_a_backup_is_a_database_of_its_own(database, make_run, tmp_path):
    run_id = checkpointed(database, make_run)
    target = tmp_path / "elsewhere" / "copy.db"
    target.parent.mkdir()
    assert maintenance.backup(database.location, target) == target
    assert sorted(path.name for path in target.parent.iterdir()) == ["copy.db", "copy.db.files"]
    runs.delete(database, [run_id])
    with Database.read(str(target)) as copy:
        assert runs.get(copy, run_id)["status"] == "completed"
        assert len(frames.episodes(copy, [run_id])) == 1
        (checkpoint,) = runs.checkpoints(copy, run_id)
        files = copy.run_folder(run_id) / checkpoint["path"]
        assert (files / "state.safetensors").read_bytes() == b"x" * 1000


@on_sqlite
def test_a_backup_of_a_run_in_training(database, make_run, tmp_path, monkeypatch):
    run_id = checkpointed(database, make_run)
    runs.set_status(database, run_id, "running", host=socket.gethostname())
    lock = RunLock(database.run_folder(run_id) / "lock")
    lock.acquire()
    copy_files = maintenance._copy_files

    def copy_while_the_run_goes_on(source, target):
        copy_files(source, target)
        runs.add_checkpoint(database, run_id, step=2, path="checkpoints/2", size=1, sha256="b")
        runs.remove_checkpoint(database, run_id, 1)

    monkeypatch.setattr(maintenance, "_copy_files", copy_while_the_run_goes_on)
    target = maintenance.backup(database.location, str(tmp_path / "copy.db"))
    lock.release()
    with Database.read(str(target)) as copy:
        assert runs.checkpoints(copy, run_id) == []
        assert runs.get(copy, run_id)["status"] == "interrupted"
    assert [row["step"] for row in runs.checkpoints(database, run_id)] == [2]


@pytest.mark.parametrize("taken", ["copy.db", "copy.db.files"])
def test_a_backup_overwrites_nothing(database, tmp_path, taken):
    (tmp_path / taken).write_text("precious")
    with pytest.raises(CannotWrite, match="exists already: name another target"):
        maintenance.backup(database.location, tmp_path / "copy.db")
    assert (tmp_path / taken).read_text() == "precious"


@on_sqlite
def test_a_backup_into_a_missing_folder(database, tmp_path):
    with pytest.raises(CannotWrite, match="no folder"):
        maintenance.backup(database.location, tmp_path / "missing" / "copy.db")


@on_sqlite
def test_a_backup_that_fails_leaves_nothing(database, make_run, tmp_path, monkeypatch):
    checkpointed(database, make_run)
    before = sorted(tmp_path.iterdir())

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maintenance.shutil, "copy2", fail)
    with pytest.raises(CannotWrite, match="No space left on device: free some space"):
        maintenance.backup(database.location, tmp_path / "copy.db")
    assert sorted(tmp_path.iterdir()) == before


@on_sqlite
def test_a_backup_that_finds_no_room_names_the_copy(database, make_run, tmp_path):
    """The file size is limited, which SQLite meets in the midst of writing the copy."""
    checkpointed(database, make_run)
    before = sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CannotWrite) as refusal:
            maintenance.backup(database.location, tmp_path / "copy.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(refusal.value).startswith(f"can't write the copy {tmp_path / 'copy.db'}: ")
    assert str(refusal.value).endswith("name another target")
    assert database.location not in str(refusal.value)
    assert sorted(tmp_path.iterdir()) == before


@on_sqlite
def test_only_the_copy_can_be_full(database):
    full, damaged = sqlite3.OperationalError(), sqlite3.DatabaseError()
    full.sqlite_errorname, damaged.sqlite_errorname = "SQLITE_FULL", "SQLITE_CORRUPT"
    assert reading._of_writing(full) == errno.ENOSPC
    assert reading._of_writing(damaged) is None


@on_sqlite
def test_a_backup_names_the_file_that_it_cannot_read(database, make_run, tmp_path, monkeypatch):
    checkpointed(database, make_run)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(maintenance.shutil, "copy2", refuse)
    with pytest.raises(StoreError, match=r"can't read .*runs\.db\.files/.*: Permission denied: ask its owner"):
        maintenance.backup(database.location, tmp_path / "copy.db")
