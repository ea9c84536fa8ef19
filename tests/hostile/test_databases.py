"""Whatever a database holds: it is shown, not obeyed; nothing in it runs, nothing outside its folder is touched."""

from __future__ import annotations

import hashlib
import json
import pickle
import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import EXAMPLES, NASTY, storable, tried

from dapo_cli.app import main
from store.records import runs
from store.session import Database

TEXTS = ("algo", "env", "status", "reason", "exactness", "note", "source", "created_at", "heartbeat_at", "command")
TEXTS += ("commit", "host", "processor", "device", "backend", "versions", "parent", "kind")
READING = (
    ["runs"],
    ["compare", "--unfinished"],
    ["table", "--rows", "algo", "--cols", "env", "--unfinished"],
    ["show"],
)


def poison(location: str, table: str, column: str, value: object) -> None:
    with sqlite3.connect(location) as connection:
        connection.execute(f'UPDATE {table} SET "{column}" = ?', [value])
    connection.close()


@tried(max(20, EXAMPLES // 40))  # each is four commands
@given(column=st.sampled_from(TEXTS), value=storable)
@example(column="note", value="x" * 10_000_000)
@example(column="env", value="\n" * 100_000)
def test_texts_of_runs(results, record_run, place, tame, column, value):
    run_id = runs.listing(results)[0]["id"] if runs.count(results) else record_run(tags=["t"], settings={"beta": 0.5})
    with results.transaction() as session:
        connection = session.connection()
        (before,) = connection.exec_driver_sql(f'SELECT "{column}" FROM run').one()
        connection.exec_driver_sql(f'UPDATE run SET "{column}" = ?', (value,))
    try:
        for command in READING:
            tame(*command, *([run_id] if command == ["show"] else []))
    finally:
        with results.transaction() as session:
            session.connection().exec_driver_sql(f'UPDATE run SET "{column}" = ?', (before,))


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize(
    ("table", "column"), [("tag", "tag"), ("hyperparameter", "name"), ("hyperparameter", "value"), ("metric", "name")]
)
def test_texts_of_rows(results, record_run, place, tame, table, column, value):
    run_id = record_run(tags=["t"], settings={"beta": 0.5})
    if table == "metric":
        with results.transaction() as session:
            session.connection().exec_driver_sql(f"INSERT INTO metric VALUES ('{run_id}', 'loss', 1, 1.0, NULL)")
    poison(results.location, table, column, value.encode("utf-8", "replace").decode())
    for command in READING:
        tame(*command, *([run_id] if command == ["show"] else []))


class Malicious:
    """A pickle that makes a file where it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize("content", ["pickle", "torch", "empty"])
def test_a_planted_checkpoint_runs_nothing(trained_run, place, tame, content):
    planted = {"pickle": pickle.dumps(Malicious()), "torch": b"PK\x03\x04" + pickle.dumps(Malicious()), "empty": b""}
    with Database.write("runs.db") as db:
        for checkpoint in runs.checkpoints(db, trained_run):
            folder = db.run_folder(trained_run) / checkpoint["path"]
            (folder / "tensors.safetensors").write_bytes(planted[content])
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["files"] = {"tensors.safetensors": hashlib.sha256(planted[content]).hexdigest()}
            (folder / "manifest.json").write_text(json.dumps(manifest))
            sha256 = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
            poison("runs.db", "checkpoint", "sha256", sha256)
    poison("runs.db", "run", "status", "interrupted")
    for command in ("resume", "evaluate"):
        assert tame(command, trained_run, "-q") == 2
    assert not Path("executed").exists()


@pytest.mark.parametrize("path", ["../../../precious", "/precious", "checkpoints/../../../precious", "precious\0"])
def test_a_path_in_a_database_deletes_nothing(trained_run, place, capsys, path):
    precious = place / "precious"
    precious.mkdir()
    (precious / "manifest.json").write_text("{}")
    path = str(precious) if path.startswith("/") else path
    with sqlite3.connect("runs.db") as connection:
        connection.execute("UPDATE checkpoint SET path = ? WHERE step = (SELECT max(step) FROM checkpoint)", [path])
        connection.execute("UPDATE run SET status = 'interrupted'")
    connection.close()
    assert main(["resume", trained_run, "-q"]) == 0
    assert "unusable" in capsys.readouterr().err
    assert [file.name for file in precious.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("command", ["resume", "evaluate", "export-policy"])
def test_an_environment_in_a_database_imports_nothing(trained_run, place, tame, monkeypatch, command):
    (place / "planted.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    monkeypatch.syspath_prepend(place)
    poison("runs.db", "run", "env", "planted:Pendulum-v1")
    poison("runs.db", "run", "status", "interrupted")
    with sqlite3.connect("runs.db") as connection:
        connection.execute("UPDATE hyperparameter SET value = 'planted:Pendulum-v1' WHERE name = 'env'")
    connection.close()
    assert tame(command, trained_run) == 2
    for reading in (["runs"], ["show", trained_run], ["compare", "--unfinished"], ["db", "info"]):
        assert tame(*reading) == 0
    assert not Path("executed").exists()
    assert "planted" not in sys.modules


def test_nothing_here_unpickles_or_evaluates():
    root = Path(__file__).parents[2]
    sources = [file for package in ("dapo_cli", "store", "algorithms") for file in (root / package).rglob("*.py")]
    assert len(sources) > 50
    forbidden = ("import pickle", "import marshal", "import shelve", "torch.load(", "torch.save(", " eval(", " exec(")
    found = [(file.name, word) for file in sources for word in forbidden if word in file.read_text(encoding="utf-8")]
    assert found == []
