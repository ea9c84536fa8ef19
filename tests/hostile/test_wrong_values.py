"""A database that another program wrote: values of another type, of an unknown kind, out of range.

Every command answers, or says in one line which table, column and run holds what it cannot read.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from dapo_cli.analysis.selection import listing
from dapo_cli.app import main
from store import frames
from store.errors import WrongValue
from store.integrity import checking, wrong_values
from store.records import runs
from store.session import Database

COMMANDS = (
    ["runs"],
    ["show", "RUN"],
    ["compare", "--unfinished"],
    ["table"],
    ["why", "KEY"],
    ["verify", "t.tex"],
    ["compute"],
    ["ledger"],
    ["sweep", "status"],
    ["sweep", "status", "s"],
    ["merge", "runs.db", "--db", "new.db"],
    ["db", "info"],
    ["evaluate", "RUN"],
    ["report", "--out", "r.html"],
    ["plot", "--out", "p.png"],
    ["plot", "sensitivity", "--x", "beta", "--out", "q.png"],
    ["export", "--out", "out"],
    ["bundle", "b"],
    ["resume", "RUN", "-q"],
)
VALUES = (
    ("run", "step", "1e999", "a whole number"),
    ("run", "steps", "'many'", "a whole number"),
    ("run", "step", "NULL", "a whole number"),
    ("run", "seed", "1e30", "a whole number"),
    ("run", "seed", "-1", "a whole number"),
    ("run", "wall_time", "'slow'", "a finite number"),
    ("run", "wall_time", "1e999", "a finite number"),
    ("run", "status", "'odd'", "one of queued, running"),
    ("run", "kind", "'odd'", "one of train, tuning"),
    ("run", "exactness", "NULL", "one of exact"),
    ("run", "versions", "'{'", "a JSON object"),
    ("run", "versions", "'[1]'", "a JSON object"),
    ("run", "started_at", "'yesterday'", "a time"),
    ("run", "env", "x'ff'", "a text"),
    ("run", "dirty", "'x'", "0 or 1"),
    ("hyperparameter", "value", "'{'", "a value of type"),
    ("hyperparameter", "value", "NULL", "a value of type"),
    ("hyperparameter", "type", "'odd'", "one of bool, int"),
    ("hyperparameter", "origin", "'odd'", "one of default"),
    ("episode", "step", "1e999", "a whole number"),
    ("episode", "return", "'x'", "a finite number"),
    ("episode", "return_kind", "'odd'", "one of nan"),
    ("episode", "terminated", "7", "0 or 1"),
    ("evaluation", "step", "'x'", "a whole number"),
    ("evaluation", "return", "x'00'", "a finite number"),
    ("evaluation", "return_kind", "'odd'", "one of nan"),
    ("metric", "value", "'x'", "a finite number"),
    ("metric", "step", "1e999", "a whole number"),
    ("checkpoint", "bytes", "'x'", "a whole number"),
    ("event", "data", "'{'", "a JSON object"),
    ("event", "step", "'x'", "a whole number"),
    ("sweep", "definition", "'{'", "a JSON object"),
    ("sweep", "state", "'odd'", "one of active"),
    ("sweep_run", "position", "'x'", "a whole number"),
    ("export", "definition", "'{'", "a JSON object"),
)


@pytest.fixture(scope="session")
def whole(tmp_path_factory, folder_of_one_run) -> tuple[Path, str]:
    """A folder with a trained run that is in a sweep and behind an exported table, and the table's key."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(folder_of_one_run, folder, dirs_exist_ok=True)
    location = str(folder / "runs.db")
    assert main(["table", "--out", str(folder / "t.tex"), "--db", location]) == 0
    with Database.write(location) as db, db.transaction() as session:
        connection = session.connection()
        connection.exec_driver_sql("INSERT INTO sweep VALUES ('s1', 's', '{}', '2026-01-01T00:00:00Z', 'active')")
        connection.exec_driver_sql("INSERT INTO sweep_run SELECT 's1', id, 0 FROM run")
    with Database.read(location) as db, db.connect() as session:
        assert list(wrong_values.find(session)) == []
        (key,) = session.connection().exec_driver_sql("SELECT key FROM export").one()
    return folder, key


def spoil(table: str, column: str, value: str) -> None:
    """Make the tables as another program might, without a constraint, and put the value into the first row."""
    with sqlite3.connect("runs.db") as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
    connection.close()
    with sqlite3.connect("runs.db") as connection:
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        key = ", ".join(f'"{name}"' for name in keys)
        where = " AND type NOT IN ('str', 'null')" if column == "value" and table == "hyperparameter" else ""
        first = f"SELECT {key} FROM {table} WHERE true{where} ORDER BY {key} LIMIT 1"
        connection.execute(f'UPDATE {table} SET "{column}" = {value} WHERE ({key}) = ({first})')
    connection.close()


def attempt(commands, tame, run_id: str, key: str) -> None:
    words = {"RUN": run_id, "KEY": f"{key}.1.1"}
    for command in commands:
        if command[0] == "verify":  # whose cells may have moved: 1
            assert main(command) in (0, 1, 2)
        else:
            tame(*(words.get(word, word) for word in command))


@pytest.fixture
def folder(whole, place) -> tuple[str, str]:
    shutil.copytree(whole[0], place, dirs_exist_ok=True)
    with Database.read("runs.db") as db:
        return str(runs.listing(db)[0]["id"]), whole[1]


@pytest.mark.parametrize(("table", "column", "value", "expected"), VALUES)
def test_check_finds_and_names_it(folder, table, column, value, expected):
    spoil(table, column, value)
    (problem,) = [line for line in checking.check("runs.db").problems if line.startswith(f"values: {table}.{column} ")]
    assert f"where {expected}" in problem
    assert (folder[0] in problem) == (table not in ("sweep", "export"))


@pytest.mark.slow
@pytest.mark.parametrize(("table", "column", "value", "expected"), VALUES)
def test_all_commands(folder, tame, table, column, value, expected):
    spoil(table, column, value)
    attempt(COMMANDS, tame, *folder)


@pytest.mark.parametrize(("table", "column"), [("run", "step"), ("evaluation", "return"), ("hyperparameter", "value")])
def test_some_commands(folder, tame, capsys, table, column):
    spoil(table, column, "'x'")
    attempt(COMMANDS[:4], tame, *folder)
    assert main(["merge", "runs.db", "--db", "new.db"]) == 2
    assert f"results database runs.db: {table}.{column} is 'x' (run {folder[0]}" in capsys.readouterr().err
    assert main(["db", "check"]) == 1
    assert "correct them with SQL" in capsys.readouterr().err


def test_the_line_names_table_column_value_and_run(folder, capsys):
    spoil("run", "steps", "'many'")
    assert main(["compare"]) == 2
    err = capsys.readouterr().err
    assert f"run.steps is 'many' (run {folder[0]}), where a whole number from 0 on is expected: correct it" in err
    assert "dapo db check --db runs.db lists all such values" in err
    assert not Path("new.db").exists()


def test_frames_say_so_too(folder):
    spoil("episode", "return", "'x'")
    with Database.read("runs.db") as db, pytest.raises(WrongValue, match=r"episode\.return is 'x' \(run "):
        frames.episodes(db, [folder[0]])


def test_a_checkpoint_whose_step_is_astronomical(folder, tame, capsys):
    with Database.write("runs.db") as db:
        for row in runs.checkpoints(db, folder[0]):
            manifest = db.run_folder(folder[0]) / row["path"] / "manifest.json"
            manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"step": 10**30}))
            with db.transaction() as session:
                values = (sha256(manifest.read_bytes()).hexdigest(), row["step"])
                session.connection().exec_driver_sql("UPDATE checkpoint SET sha256 = ? WHERE step = ?", values)
                session.connection().exec_driver_sql("UPDATE run SET status = 'interrupted'")
    for command in ("evaluate", "resume", "export-policy"):
        assert tame(command, folder[0]) == 2
    assert main(["evaluate", folder[0]]) == 2
    assert f"it is of step {10**30}, and recorded as one of step" in capsys.readouterr().err


def test_an_error_of_ours_stays_one(folder, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(listing, "select_runs", fail)
    monkeypatch.setattr(Database, "opened", {})  # a command has a process of its own
    with pytest.raises(ZeroDivisionError):
        main(["runs"])
