"""Reading, while others write: one state, no waiting, no trace."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from backends import on_sqlite
from sqlalchemy import text

from store.connection import reading, sqlite
from store.errors import StoreError
from store.records import runs
from store.session import Database
from store.transfer import maintenance

ROOT = Path(__file__).parents[2]

WRITE = """
import sys
from sqlalchemy import text
from store.session import Database

for _ in range(int(sys.argv[2])):
    with Database.write(sys.argv[1]) as database, database.transaction() as session:
        session.execute(text("UPDATE run SET step = step + 1, note = :note"), {"note": "x" * int(sys.argv[3])})
"""

pytestmark = on_sqlite

PAGES = 6_000_000  # bytes, more than the log holds before a writer writes it back while readers read


@pytest.fixture
def two_runs(database, make_run) -> Database:
    for _ in range(2):
        make_run(note="short")
    database.close()
    return database


def another_writes(location: str, times: int = 1, bytes_: int = 10) -> None:
    """A process opens the database, writes and is gone."""
    subprocess.run([sys.executable, "-c", WRITE, location, str(times), str(bytes_)], check=True, cwd=ROOT)


def seen(session) -> list[tuple[int, int]]:
    return [tuple(row) for row in session.execute(text("SELECT step, length(note) FROM run"))]


@pytest.mark.parametrize("bytes_", [10, PAGES])
def test_a_reader_of_an_idle_file_sees_its_state_whatever_is_written(two_runs, bytes_):
    with Database.read(two_runs.location) as reader:
        with reader.connect() as session:
            assert seen(session) == [(0, 5), (0, 5)]
            another_writes(two_runs.location, 2, bytes_)
            assert seen(session) == [(0, 5), (0, 5)]
        with reader.connect() as session:
            assert seen(session) == [(2, bytes_), (2, bytes_)]


def test_readers_beside_short_writers_never_fail(two_runs):
    writer = threading.Thread(target=another_writes, args=(two_runs.location, 150))
    writer.start()
    looks, steps = 0, set()
    while writer.is_alive() or looks == 0:
        with Database.read(two_runs.location) as reader, reader.connect() as session:
            (first, _), (second, _) = seen(session)
            assert first == second
            steps.add(first)
        looks += 1
    writer.join()
    assert len(steps) > 10
    with Database.read(two_runs.location) as reader, reader.connect() as session:
        assert seen(session) == [(150, 10), (150, 10)]


def test_readers_leave_no_file_and_no_byte(two_runs, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with Database.read(two_runs.location) as one, Database.read(two_runs.location) as other:
        with one.connect() as session:
            seen(session)
            with other.connect() as also:
                seen(also)
        with one.connect() as first:
            seen(first)
            second = other.connect()
            seen(second.__enter__())
        second.__exit__(None, None, None)  # the one that came later closes last
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_a_killed_reader_left_is_gone_after_the_next(two_runs, tmp_path):
    script = "import os, sys; from store.session import Database; reader = Database.read(sys.argv[1])\n"
    script += "with reader.connect() as session: session.connection().exec_driver_sql('SELECT 1 FROM run'); os._exit(9)"
    names = {path.name for path in tmp_path.iterdir()}
    process = subprocess.run([sys.executable, "-c", script, two_runs.location], check=False, cwd=ROOT)
    assert process.returncode == 9
    assert {path.name for path in tmp_path.iterdir()} == names | {"runs.db-wal", "runs.db-shm"}
    with Database.read(two_runs.location) as reader:
        assert runs.count(reader) == 2
    assert {path.name for path in tmp_path.iterdir()} == names


def test_what_a_writer_left_in_its_log_is_not_the_reader_s_to_write_back(two_runs):
    path = Path(two_runs.location)
    with Database.read(two_runs.location) as reader, reader.connect() as session:
        seen(session)
        another_writes(two_runs.location)
        before = hashlib.sha256(path.read_bytes()).digest()
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert sqlite.has_log(path)
    with Database.read(two_runs.location) as reader, reader.connect() as session:
        assert seen(session) == [(1, 10), (1, 10)]
    another_writes(two_runs.location)
    assert not sqlite.wal_of(path).exists()


@pytest.mark.parametrize("why", ["may not", "can not"])
def test_where_it_makes_no_file_a_reader_notices_that_the_file_was_rewritten(two_runs, monkeypatch, tmp_path, why):
    def full(_: Path) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    if why == "may not":
        monkeypatch.setattr(reading, "_may_make_files", lambda _: False)
    else:
        monkeypatch.setattr(reading, "_tidy", full)

    def read_while_another_writes(reader):
        with reader.connect() as session:
            assert seen(session) == [(0, 5), (0, 5)]
            assert sorted(path.name for path in tmp_path.iterdir()) == names
            another_writes(two_runs.location)

    names = sorted(path.name for path in tmp_path.iterdir())
    with Database.read(two_runs.location) as reader:
        with pytest.raises(StoreError, match="written to while it was read: run the command again"):
            read_while_another_writes(reader)
        assert runs.count(reader) == 2


@pytest.mark.parametrize("alone", [True, False])
def test_a_copy_is_one_state(two_runs, monkeypatch, tmp_path, alone):
    """`alone`: the reader may not make files, and the file is changed just before the copy is done."""
    monkeypatch.setattr(reading, "_may_make_files", lambda _: not alone)

    class Interrupted(reading.Reader):
        def backup(self, target: sqlite3.Connection) -> None:  # type: ignore[override]
            super().backup(target)
            another_writes(two_runs.location)

    monkeypatch.setattr(reading, "Reader", Interrupted)
    target = tmp_path / "copy" / "runs.db"
    target.parent.mkdir()
    if alone:
        with pytest.raises(StoreError, match="written to while it was read"):
            maintenance.backup(two_runs.location, target)
        assert list(target.parent.iterdir()) == []
    else:
        maintenance.backup(two_runs.location, target)
        with Database.read(str(target)) as copy, copy.connect() as session:
            assert seen(session) == [(0, 5), (0, 5)]


def test_through_a_symbolic_link_a_reader_sees_what_a_live_writer_committed(two_runs, make_run, tmp_path):
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(two_runs.location)
    make_run()  # and stays open
    with Database.read(str(link)) as reader:
        assert runs.count(reader) == 3
    assert list(link.parent.iterdir()) == [link]


def test_opening_again_leaves_the_locks_of_a_writer_in_place(two_runs, make_run, run_python):
    """A process loses its locks on a file when it closes it anywhere; then another would delete the log under it."""
    make_run()
    Database.write(two_runs.location).close()
    maintenance.info(two_runs.location)
    run_python("import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM run')", two_runs.location)
    assert sqlite.has_log(Path(two_runs.location))
    make_run()
    with Database.read(two_runs.location) as reader:
        assert runs.count(reader) == 4
