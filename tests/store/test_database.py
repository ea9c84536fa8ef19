"""Opening a database, its transactions, and one line for everything that goes wrong."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from backends import on_sqlite
from sqlalchemy import text

from store.connection import sqlite
from store.errors import CannotWrite, DatabaseLocked, NewerSchema, NotADatabase, OlderSchema, StoreError
from store.records import runs
from store.schema import revisions
from store.session import Database

GOLDEN = Path(__file__).parents[1] / "golden" / "schema-0001.db"


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sqlite_file(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_writing_creates_a_database_that_reading_finds(location):
    with Database.write(location) as database:
        assert database.revision() == revisions.HEAD
    with Database.read(location) as database:
        assert runs.listing(database) == []
        assert database.location == location


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_path_and_a_url_name_the_same_database(tmp_path, form):
    path = tmp_path / "odd name?#%41.db" if form == "{}" else tmp_path / "runs.db"
    with Database.write(form.format(path)) as database:
        assert database.path == path
        assert database.files == path.with_name(path.name + ".files")
        assert path.exists()
    with Database.read(str(path)) as database:
        assert runs.count(database) == 0


def test_a_relative_path_keeps_its_meaning_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Database.write("runs.db") as database:
        monkeypatch.chdir("/")
        assert runs.count(database) == 0
    assert (tmp_path / "runs.db").exists()


def test_a_password_is_not_shown():
    database = Database("postgresql+psycopg://user:secret@host/results", writable=False)
    assert "secret" not in database.location
    assert database.files == Path.cwd() / "results.files"


def test_reading_changes_no_byte_and_leaves_no_file(database, make_run, tmp_path):
    run_id = make_run()
    database.close()
    before = contents(tmp_path)
    with Database.read(database.location) as reader:
        assert runs.get(reader, run_id)["algo"] == "sac"
        assert contents(tmp_path) == before
    assert contents(tmp_path) == before


def test_a_reader_sees_what_a_live_writer_committed(database, make_run, tmp_path):
    with Database.read(database.location) as reader:
        run_id = make_run()
        assert runs.get(reader, run_id)["id"] == run_id
        with database.transaction() as session:
            session.execute(text("UPDATE run SET step = 7"))
            assert runs.get(reader, run_id)["step"] == 0  # not yet committed, and the writer's lock is no obstacle
        assert runs.get(reader, run_id)["step"] == 7


def test_a_reader_sees_one_state_throughout(database, make_run):
    make_run()
    with Database.read(database.location) as reader, reader.connect() as session:
        assert session.scalar(text("SELECT count(*) FROM run")) == 1
        make_run()
        assert session.scalar(text("SELECT count(*) FROM run")) == 1


def test_a_reader_can_not_write(database, make_run):
    make_run()
    with (
        Database.read(database.location) as reader,
        pytest.raises(CannotWrite, match="not writable"),
        reader.transaction() as session,
    ):
        session.execute(text("DELETE FROM run"))
    assert runs.count(database) == 1


def test_a_transaction_that_fails_leaves_nothing(database, make_run):
    make_run()

    def delete_and_fail():
        with database.transaction() as session:
            session.execute(text("DELETE FROM run"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete_and_fail()
    assert runs.count(database) == 1


def test_foreign_keys_are_enforced(database):
    with pytest.raises(StoreError, match=r"(?i)foreign key"), database.transaction() as session:
        session.execute(text("INSERT INTO tag VALUES ('nobody', 'x')"))


@on_sqlite
def test_a_durable_transaction_syncs_fully_and_others_do_not(database):
    for durable, level in ((True, 2), (False, 1), (True, 2)):
        with database.transaction(durable=durable) as session:
            assert session.scalar(text("PRAGMA synchronous")) == level


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda _: None, StoreError, "no results database at .* yet: train a run first"),
        (lambda path: path.mkdir(), NotADatabase, "is a folder"),
        (lambda path: path.touch(), NotADatabase, "empty file"),
        (lambda path: path.write_text("hello"), NotADatabase, "not an SQLite database"),
        (lambda path: path.write_bytes(os.urandom(5000)), NotADatabase, "not an SQLite database"),
        (lambda path: sqlite_file(path, "CREATE TABLE t (x)"), NotADatabase, "not one of dapo's"),
        (
            lambda path: sqlite_file(path, "CREATE TABLE alembic_version (version_num)"),
            NotADatabase,
            "not one of dapo's",
        ),
        (lambda path: path.write_bytes(GOLDEN.read_bytes()), OlderSchema, "dapo db upgrade --db"),
    ],
)
def test_what_can_not_be_read_is_one_line_and_untouched(tmp_path, make, error, words):
    path = tmp_path / "runs.db"
    make(path)
    before = contents(tmp_path)
    with pytest.raises(error, match=words) as caught:
        Database.read(str(path))
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("hello"), "not an SQLite database"),
        (lambda path: sqlite_file(path, "CREATE TABLE t (x)"), "not one of dapo's"),
    ],
)
def test_writing_refuses_what_is_not_ours_and_leaves_it_alone(tmp_path, make, words):
    path = tmp_path / "runs.db"
    make(path)
    before = contents(tmp_path)
    with pytest.raises(NotADatabase, match=words):
        Database.write(str(path))
    assert contents(tmp_path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_schema_is_refused(database):
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    for opening in (Database.read, Database.write):
        with pytest.raises(NewerSchema, match="made by a newer dapo: upgrade dapo"):
            opening(database.location)


@pytest.mark.parametrize(
    "location",
    ["", "sqlite://", "sqlite:///:memory:", "nosuch://host/name", "postgresql+psycopg://host", "a b://"],
)
def test_a_location_that_names_no_database(location):
    for opening in (Database.read, Database.write):
        with pytest.raises(StoreError) as caught:
            opening(location)
        assert "\n" not in str(caught.value)


def test_an_empty_file_becomes_a_database(tmp_path):
    path = tmp_path / "runs.db"
    path.touch()
    with Database.write(str(path)) as database:
        assert runs.count(database) == 0


def test_a_missing_folder(tmp_path):
    with pytest.raises(CannotWrite, match=r"no folder .*: create it"):
        Database.write(str(tmp_path / "missing" / "runs.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write to")
def test_a_folder_that_can_not_be_written_to():
    with pytest.raises(CannotWrite, match=r"can't write beside /proc/self/runs\.db"):
        Database.write("/proc/self/runs.db")


def test_a_lock_held_for_too_long(database, make_run, monkeypatch):
    run_id = make_run()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    with (
        Database.write(database.location) as other,
        database.transaction() as session,
    ):
        session.execute(text("UPDATE run SET note = note"))
        with pytest.raises(DatabaseLocked, match="another process keeps it locked: try again"):
            runs.set_status(other, run_id, "failed")
