"""delete and db: the commands that change something, or refuse to."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from store.connection.locks import RunLock
from store.records import runs

OLD_DATABASE = Path(__file__).parent.parent / "golden" / "schema-0001.db"


class Terminal(io.StringIO):
    """Standard input of a user at a terminal."""

    def isatty(self) -> bool:
        return True


def test_delete_with_yes(dapo, results, record_run):
    kept, gone = record_run(), record_run()
    folder = results.run_folder(gone)
    folder.mkdir(parents=True)
    (folder / "checkpoint").touch()
    outcome = dapo("delete", gone[:8], gone, "--yes")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == f"{gone[:6]}  sac  HalfCheetah-v4  seed 0  completed\ndeleted 1 run\n"
    assert [row["id"] for row in json.loads(dapo("runs", "--json").out)] == [kept]
    assert not folder.exists()


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_delete_asks_on_a_terminal(dapo, record_run, monkeypatch, answer, left):
    run_id = record_run()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert dapo("delete", run_id).code == 0
    assert len(json.loads(dapo("runs", "--json").out)) == left


def test_delete_refuses_without_a_terminal(refused, dapo, record_run, monkeypatch):
    run_id = record_run()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert refused("delete", run_id) == "to delete 1 run without being asked, add --yes"
    assert len(json.loads(dapo("runs", "--json").out)) == 1


def test_delete_where_shows_how_many_which_and_how_much_disk(dapo, results, record_run, monkeypatch):
    kept = record_run("dapo-kl")
    gone = [record_run(seed=seed) for seed in range(23)]
    folder = results.run_folder(gone[0])
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_bytes(b"x" * 1500)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    outcome = dapo("delete", "--where", "algo = sac and age < 1h")
    lines = outcome.err.splitlines()
    assert lines[0] == f"{gone[-1][:6]}  sac  HalfCheetah-v4  seed 22  completed"
    assert lines[20] == "… and 3 more: dapo runs --where lists them"
    assert lines[21].startswith("Delete 23 runs and 1.5 kB of files for good?")
    assert lines[21].endswith("nothing deleted")
    assert dapo("delete", "--where", "algo = sac", "--yes").err.endswith("deleted 23 runs and 1.5 kB of files\n")
    assert [row["id"] for row in json.loads(dapo("runs", "--json").out)] == [kept]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "which runs? Give their ids (see dapo runs), or --where FILTER"),
        ("{run} --where algo=sac --yes", "name runs or a filter with --where, not both"),
        ("--where algo=nothing --yes", "no run matches --where: see what there is with dapo runs"),
        ("--where algo=sac", "to delete 1 run without being asked, add --yes"),
    ],
)
def test_delete_says_what_is_missing(refused, dapo, record_run, monkeypatch, arguments, line):
    run_id = record_run()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert refused("delete", *arguments.format(run=run_id).split()) == line
    assert len(json.loads(dapo("runs", "--json").out)) == 1


def test_delete_refuses_a_run_that_is_alive(refused, dapo, results, record_run):
    done, alive = record_run(), record_run(status="running")
    lock = RunLock(results.run_folder(alive) / "lock")
    lock.acquire()
    try:
        assert refused("delete", done, alive, "-y", "-q").startswith(f"run {alive} is being trained")
    finally:
        lock.release()
    assert len(json.loads(dapo("runs", "--json").out)) == 2


def test_delete_refuses_what_is_not_there(refused, dapo, record_run):
    run_id = record_run()
    assert refused("delete", run_id, "zzz", "-y").startswith("no run 'zzz'")
    assert len(json.loads(dapo("runs", "--json").out)) == 1


def test_db_info(dapo, record_run):
    record_run()
    record_run(status="running")
    outcome = dapo("db", "info")
    assert (outcome.code, outcome.err) == (0, "")
    assert "runs           1 completed, 1 interrupted" in outcome.out
    facts = json.loads(dapo("db", "info", "--json").out)
    assert facts["schema"] == facts["head"]
    assert facts["rows"]["run"] == 2


def test_db_check_of_a_copy_without_its_files(dapo, results, record_run):
    runs.add_checkpoint(results, record_run(), step=1000, path="checkpoints/1000", size=1, sha256="0")
    outcome = dapo("db", "check")
    assert (outcome.code, outcome.out) == (0, "whole; 0 checkpoints read, 1 not here\n")
    assert outcome.err.startswith("the runs' files are not beside the database")
    assert outcome.err.count("\n") == 1


def test_db_backup(dapo, refused, record_run, tmp_path):
    run_id = record_run()
    assert dapo("db", "backup", "copy.db") == (0, f"{tmp_path / 'copy.db'}\n", "")
    assert [row["id"] for row in json.loads(dapo("runs", "--db", "copy.db", "--json").out)] == [run_id]
    assert refused("db", "backup", "copy.db") == f"{tmp_path / 'copy.db'} exists already: name another target"


def test_db_upgrade_of_an_older_database(dapo, refused, tmp_path):
    shutil.copy(OLD_DATABASE, tmp_path / "runs.db")
    assert "made by an older dapo: run: dapo db upgrade" in refused("runs")
    outcome = dapo("db", "upgrade")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("upgraded the schema from 0001 to ")
    assert dapo("runs").code == 0
    assert dapo("db", "upgrade").err.startswith("nothing to do: ")


every_command = pytest.mark.parametrize(
    "command", ["runs", "show x", "compare", "table", "delete x -y", "db info", "db upgrade", "db backup copy.db"]
)


@every_command
def test_no_database(refused, tmp_path, command):
    assert refused(*command.split()).startswith("no results database at runs.db yet: train a run first")
    assert list(tmp_path.iterdir()) == []


@every_command
def test_a_file_that_is_no_database(refused, tmp_path, command):
    (tmp_path / "runs.db").write_text("this is not a database, it is a text file\n" * 20)
    assert "not an SQLite database" in refused(*command.split())
    assert [path.name for path in tmp_path.iterdir()] == ["runs.db"]


@every_command
def test_a_folder_instead_of_a_database(refused, tmp_path, command):
    (tmp_path / "runs.db").mkdir()
    assert "is a folder" in refused(*command.split())


@every_command
def test_a_database_of_another_program(refused, tmp_path, command):
    connection = sqlite3.connect(tmp_path / "runs.db")
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    assert "not one of dapo's" in refused(*command.split())
