"""Which revision a database has, and how it gets to the newest: created whole, or migrated after a backup."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from store.connection import postgresql, reading, sqlite
from store.connection.failures import translated, translated_files
from store.connection.locks import exclusive
from store.errors import NewerSchema, NotADatabase
from store.schema.models import Base

REVISIONS = ("0001", "0002", "0003", "0004")  # of store/migrations, oldest first
HEAD = REVISIONS[-1]

_VERSION_TABLE = (  # as Alembic makes it
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_OURS = {"alembic_version", "run", "episode", "hyperparameter"}  # of every revision

Upgrade = tuple[str, str, Path | None]  # old revision, new revision, backup


def stamped(connection: Connection, location: str) -> str | None:
    """The revision that the database says it has, known or not; None without a table. NotADatabase if not ours."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if tables >= _OURS else None
    if revision is None:
        raise NotADatabase(f"{location} is a database, but not one of dapo's results: name another with --db")
    return str(revision)


def revision_of(connection: Connection, location: str) -> str | None:
    """The revision of the schema, one of REVISIONS; None without a table. NotADatabase, NewerSchema."""
    revision = stamped(connection, location)
    if revision is not None and revision not in REVISIONS:
        raise NewerSchema(f"results database {location} was made by a newer dapo: upgrade dapo")
    return revision


def prepare_file(engine: Engine, path: Path, files: Path, location: str) -> Upgrade | None:
    """Create or upgrade the SQLite file at `path`, one process at a time; says what it upgraded, if it did."""
    backup = None
    lock = files / "lock"
    with translated(location), exclusive(lock, location, sqlite.BUSY_TIMEOUT):
        existed = path.exists()
        try:
            with engine.connect() as connection:
                revision = revision_of(connection, location)
            if revision == HEAD and sqlite.uses_wal(sqlite.header(path)) == sqlite.wants_wal(path):
                return None  # another process was first
            engine.dispose()  # an open connection, even ours, keeps the journal mode from being changed
            sqlite.set_journal_mode(path)
            if revision not in (None, HEAD):
                backup = free_name(path, f"before-{HEAD}")
                with translated_files(f"the backup {backup}"):
                    reading.copy(path, backup)
            with engine.connect().execution_options(immediate=True, durable=True) as connection:
                revision = revision_of(connection, location)
                _bring_to_head(connection, revision)
                connection.commit()
        except BaseException:
            engine.dispose()
            if not existed:
                for leftover in (*sqlite.names(path), lock):
                    leftover.unlink(missing_ok=True)
                with suppress(OSError):  # it holds files of runs
                    files.rmdir()
            raise
    return None if revision in (None, HEAD) else (str(revision), HEAD, backup)


def prepare_server(engine: Engine, location: str) -> Upgrade | None:
    """Create or upgrade the tables of a database server in one transaction; says what it upgraded, if it did."""
    with translated(location), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            postgresql.lock(connection, postgresql.SCHEMA)
        revision = revision_of(connection, location)
        _bring_to_head(connection, revision)
    return None if revision in (None, HEAD) else (str(revision), HEAD, None)


def _bring_to_head(connection: Connection, revision: str | None) -> None:
    if revision is None:
        # The same tables that the migrations lead to (a test compares them), without the time to import Alembic.
        Base.metadata.create_all(connection, checkfirst=False)
        connection.execute(text(_VERSION_TABLE))
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
    elif revision != HEAD:
        from store.schema.migrations import migrate

        migrate(connection, HEAD)


def free_name(path: Path, suffix: str) -> Path:
    """`path` with this suffix and, if that is taken, a number."""
    name = path.with_name(f"{path.name}.{suffix}")
    number = 2
    while name.exists():
        name = path.with_name(f"{path.name}.{suffix}-{number}")
        number += 1
    return name
