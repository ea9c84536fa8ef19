"""One results database, opened for reading or for writing, and its two kinds of transaction."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import ClassVar

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.orm import Session

from store import _location, _postgresql, _reading, _sqlite, schema
from store._failures import translated
from store.errors import CannotWrite, Disconnected, NotADatabase, OlderSchema, StoreError
from store.locks import exclusive

_PLAIN = re.compile(r"[\w-]{1,64}", re.ASCII)  # ids that may name a folder


class Database:
    """A results database. Open it with `Database.read` or `Database.write`; it is a context manager.

    Attributes: `location` as shown to users (without a password), `url`, `path` (None for a server), `files` (the
    folder with the runs' files), `upgraded` ((old revision, new revision, backup or None) if opening upgraded it),
    `patience` (seconds for which a transaction waits for a server that can't be reached; set it while a run trains).
    `opened` are the locations that this process has read from or written to, the latest last, for who
    has to explain an error.
    """

    opened: ClassVar[dict[str, None]] = {}

    def __init__(self, location: str, *, writable: bool) -> None:
        """For `read`, `write` and maintenance: parses the location, opens nothing and checks nothing."""
        self.location, self.url, self.path, self.files = _location.parse(location)
        self.patience = 0.0
        self.upgraded: tuple[str, str, Path | None] | None = None
        self._writable = writable
        self._engine: Engine | None = None

    @classmethod
    def read(cls, location: str) -> Database:
        """Open an existing database without ever changing a byte of it, its schema and journal mode included.

        `location` is a path or an SQLAlchemy URL. StoreError if there is none; NotADatabase, OlderSchema, NewerSchema.
        """
        database = cls(location, writable=False)
        try:
            revision = database.revision()
        except BaseException:
            database.close()
            raise
        if revision == schema.HEAD:
            return database
        database.close()
        if revision is None:
            raise StoreError(_nothing_yet(database.location))
        raise OlderSchema(
            f"{database.location} was made by an older dapo: run: dapo db upgrade --db {quote(database.location)}"
        )

    @classmethod
    def write(cls, location: str) -> Database:
        """Open a database for training: created if there is none, upgraded (after a backup) if it is older.

        Any number of processes may do so at once. NotADatabase, NewerSchema, DatabaseLocked, CannotWrite.
        """
        database = cls(location, writable=True)
        try:
            database._prepare()
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self) -> None:
        path = self.path
        if path is not None and not path.parent.is_dir():
            raise CannotWrite(f"no folder {path.parent} for the results database: create it, or name another with --db")
        if path is None:
            if self.revision() != schema.HEAD:
                self.upgraded = schema.prepare_server(self.engine, self.location)
            return
        self._refuse_folder()
        header = _sqlite.header(path)
        revision = self.revision() if header else None
        if revision != schema.HEAD or _sqlite.uses_wal(header) != _sqlite.wants_wal(path):
            self.upgraded = schema.prepare_file(self.engine, path, self.files, self.location)

    def revision(self, check: Callable[[Connection, str], str | None] = schema.revision_of) -> str | None:
        """The schema's revision; None for a database without a table. NotADatabase, NewerSchema.

        With `check=schema.stamped`, a newer schema's revision is returned as well.
        """
        path = self.path
        if path is not None:
            self._refuse_folder()
            if not path.exists():
                raise StoreError(_nothing_yet(self.location))
            if path.stat().st_size == 0 and not self._writable:
                raise NotADatabase(
                    f"{self.location} is an empty file, not yet a database: "
                    "try again if a run is just starting, else delete it or name another with --db"
                )
        with self.connect() as session:
            return check(session.connection(), self.location)

    def _refuse_folder(self) -> None:
        if self.path is not None and self.path.is_dir():
            raise NotADatabase(f"{self.location} is a folder, not a results database: name a file with --db")

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, made at first use."""
        if self._engine is None:
            self._engine = self._create_engine()
            Database.opened.pop(self.location, None)
            Database.opened[self.location] = None  # now the last
        return self._engine

    def run_folder(self, run_id: str) -> Path:
        """Where the files of a run lie (its lock, its checkpoints); not necessarily an existing folder.

        It is always one in `files`: an id that is no plain word, as only a foreign database has, is replaced by a hash.
        """
        if _PLAIN.fullmatch(run_id) is None:
            run_id = hashlib.sha256(run_id.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        return self.files / run_id

    @contextmanager
    def connect(self) -> Iterator[Session]:
        """A session for reading: all of its statements see the same state, including what a live writer committed."""
        with translated(self.location), self._connection(immediate=False, durable=False) as connection:
            try:
                with Session(connection) as session:
                    yield session
            finally:
                reader = None if self.path is None else connection.connection.dbapi_connection
                if isinstance(reader, _reading.Reader):
                    reader.check(self.location)

    @contextmanager
    def transaction(self, *, durable: bool = False, shared: bool = False) -> Iterator[Session]:
        """A session for writing: commits at the end of the body, rolls back if it raises.

        It holds the write lock from the start, so that nobody else changes what the body reads. `shared`: the body
        writes only rows that are its own, or locks those that it reads (`with_for_update`), and may write at the same
        time as others where the database can, which SQLite can't. `durable`: on return, everything committed so far
        survives a power failure, not only the death of the process.
        """
        with (
            translated(self.location),
            self._connection(immediate=True, durable=durable) as connection,
            Session(connection) as session,
        ):
            session.connection()  # begins, where the session would wait for its first statement
            if not shared and connection.dialect.name == "postgresql":
                _postgresql.lock(connection, _postgresql.WRITERS)
            yield session
            session.commit()

    @contextmanager
    def merging(self) -> Iterator[None]:
        """One process at a time in the body, on any machine where the database is on a server. DatabaseLocked."""
        if self.path is not None:
            with exclusive(self.files / "lock", self.location, _sqlite.BUSY_TIMEOUT):
                yield
        elif self.engine.dialect.name == "postgresql":
            with translated(self.location), _postgresql.alone(self.engine, _postgresql.MERGE):
                yield
        else:
            yield

    def close(self) -> None:
        """Close all connections; the last writer of an SQLite file also clears its write-ahead log."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _connection(self, *, immediate: bool, durable: bool) -> Iterator[Connection]:
        with self._connected(immediate) as connection:
            if connection.dialect.name == "postgresql" and not (immediate and self._writable):
                _postgresql.reading(connection)
            yield connection.execution_options(immediate=immediate, durable=durable)

    def _connected(self, patient: bool) -> Connection:
        deadline = time.monotonic() + (self.patience if patient else 0.0)
        while True:
            try:
                with translated(self.location):
                    return self.engine.connect()
            except Disconnected:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(1.0)

    def _create_engine(self) -> Engine:
        if self.path is None:
            try:
                if self.url.get_backend_name() == "postgresql":
                    return _postgresql.engine(self.url)
                return create_engine(self.url.difference_update_query(["files"]), pool_pre_ping=True)
            except (NoSuchModuleError, ModuleNotFoundError) as error:
                driver = self.url.drivername
                remedy = "pip install 'dapo-cli[postgres]'" if driver.startswith("postgresql") else "install it"
                raise StoreError(f"no driver for {driver} ({error}): {remedy}, or use a path") from error
        path = self.path
        if self._writable:
            engine = create_engine("sqlite://", creator=lambda: _sqlite.connect_writing(path), poolclass=QueuePool)
        else:
            # Each reading connects anew: how it may open the file depends on the writers of that moment.
            engine = create_engine("sqlite://", creator=lambda: _reading.connect(path), poolclass=NullPool)
        event.listen(engine, "begin", _begin)
        return engine


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("immediate"):
        # In WAL mode NORMAL survives the death of the process, FULL a power failure as well.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options['durable'] else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


def _nothing_yet(location: str) -> str:
    return f"no results database at {location} yet: train a run first (dapo train …), or name another with --db"
