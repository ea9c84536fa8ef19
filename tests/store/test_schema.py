"""Migrations: where they lead, what they keep, and that they happen whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from store import frames
from store.errors import StoreError
from store.records import runs
from store.schema import migrations, revisions
from store.schema.migrations import migrate, scripts
from store.schema.models import Base
from store.session import Database

GOLDEN = Path(__file__).parents[1] / "golden"
OLD = revisions.REVISIONS[:-1]
ADDED: dict[str, dict[str, dict[str, Any]]] = {  # revision -> table -> column -> value in the rows of before
    "0002": {"run": {"source": None, "sweep_id": None}},
    "0003": {"run": {"parent": None}},
    "0004": {
        "run": {"configuration": None, "attempts": 0, "worker_id": None, "group_id": None, "group_size": None},
        "sweep": {"state": "active"},
    },
}


@pytest.fixture(params=OLD)
def golden(request: pytest.FixtureRequest) -> Path:
    """A database that an older revision made."""
    return GOLDEN / f"schema-{request.param}.db"


@pytest.fixture
def old(golden: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(golden, tmp_path / "runs.db"))


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    connection.close()
    return tables


def described(engine: Any) -> dict[str, Any]:
    """A schema without the order of its columns, which an upgrade can't choose."""
    tables = {}
    inspector = inspect(engine)
    with engine.connect() as connection:

        def pragma(name: str, table: str) -> list[tuple[Any, ...]]:
            return [tuple(row)[1:] for row in connection.execute(text(f'PRAGMA {name}("{table}")'))]

        for table in inspector.get_table_names():
            query = text("SELECT sql FROM sqlite_master WHERE name = :name")
            tables[table] = {
                "columns": sorted(pragma("table_info", table)),
                "foreign keys": sorted(pragma("foreign_key_list", table)),
                "indexes": sorted(inspector.get_indexes(table), key=lambda index: index["name"]),
                "unique": inspector.get_unique_constraints(table),
                "without rowid": "WITHOUT ROWID" in connection.scalar(query, {"name": table}),
            }
    return tables


def test_the_migrations_lead_to_the_models():
    migrated, created = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.begin() as connection:
        migrate(connection, revisions.HEAD)
    Base.metadata.create_all(created)
    by_migration = described(migrated)
    version = by_migration.pop("alembic_version")
    assert by_migration == described(created)
    with created.begin() as connection:
        connection.execute(text(revisions._VERSION_TABLE))
    assert described(created)["alembic_version"] == version
    migrated.dispose()
    created.dispose()


def test_the_revisions_are_those_of_the_folder():
    history = [script.revision for script in scripts().walk_revisions()]
    assert tuple(reversed(history)) == revisions.REVISIONS


def test_every_older_revision_has_its_golden_database():
    assert {path.stem for path in GOLDEN.glob("*.db")} == {f"schema-{revision}" for revision in OLD}


def test_an_old_database_is_upgraded_without_losing_a_row(old):
    before = rows_of(old)
    ((revision,),) = (row.values() for row in before["alembic_version"])
    with Database.write(str(old)) as database:
        assert database.upgraded == (revision, revisions.HEAD, old.with_name(f"runs.db.before-{revisions.HEAD}"))
    after = rows_of(old)
    assert after.pop("alembic_version") == [{"version_num": revisions.HEAD}]
    del before["alembic_version"]
    links = [(row["sweep_id"], row["run_id"], row["position"]) for row in after.pop("sweep_run")]
    belonging = sorted(row["id"] for row in before["run"] if row.get("sweep_id") == "5")
    assert links == [("5", run_id, number) for number, run_id in enumerate(belonging)]
    for table in after.keys() - before.keys():
        assert after.pop(table) == []
    for later, tables in ADDED.items():
        for table, columns in tables.items():
            for row in after.get(table, []) if later > revision else []:
                assert {name: row.pop(name) for name in columns} == columns
    assert after == before
    assert len(before["episode"]) == 20


def test_an_upgrade_keeps_a_copy_of_what_was(old, golden):
    for number in ("", "-2"):
        with Database.write(str(old)) as database:
            _, new_revision, backup = database.upgraded
        assert (new_revision, backup.name) == (revisions.HEAD, f"runs.db.before-{revisions.HEAD}{number}")
        assert rows_of(backup) == rows_of(golden)
        shutil.copy(golden, old)


def test_an_upgraded_database_is_as_good_as_a_new_one(old):
    with Database.write(str(old)) as database:
        new = {"source": "elsewhere", "parent": "0" * 16}
        run_id = runs.create(database, run={"algo": "sac", "env": "e", "seed": 1, "steps": 9, **new})
        assert new.items() <= runs.get(database, run_id).items()
        assert frames.final_evaluation(database)["mean"].tolist() == [12.0, 12.0]
        runs.delete(database, ["0" * 16])
        assert len(frames.episodes(database, ["0" * 16, "0" * 15 + "1"])) == 10


def test_an_upgrade_that_fails_changes_nothing(old, golden, monkeypatch):
    def fail(connection: Any, target: str) -> None:
        migrate(connection, target)
        connection.execute(text("SELECT * FROM nowhere"))

    monkeypatch.setattr(migrations, "migrate", fail)
    with pytest.raises(StoreError, match="no such table: nowhere"):
        Database.write(str(old))
    assert rows_of(old) == rows_of(golden)


def test_the_newest_schema_needs_no_alembic(location, run_python):
    script = """
import sys
from store.session import Database
for _ in range(2):
    Database.write(sys.argv[1]).close()
Database.read(sys.argv[1]).close()
for module in ("alembic", "pandas", "torch", "numpy"):
    assert module not in sys.modules, module
"""
    assert run_python(script, location) == ""
