"""One results database, opened for reading or for writing, and its two kinds of transaction."""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.orm import Session

from store.connection import database_location, postgresql, reading, run_files, sqlite
from store.connection.anchor import Anchor
from store.connection.failures import translated
from store.connection.locks import exclusive
from store.errors import CannotWrite, DatabaseLocked, Disconnected, NotADatabase, OlderSchema, StoreError, Vanished
from store.schema import revisions

PATIENCE = 600.0  # seconds of waiting for a lock, or a server that is away, where much would be lost by giving up
HURRY = 10.0  # seconds that a transaction still waits once its process is to stop
_SLICE = 1000  # milliseconds of waiting in SQLite's own code, which no signal interrupts
_PLAIN = re.compile(r"[\w-]{1,64}", re.ASCII)  # ids that may name a folder


class Database:
    """A results database. Open it with `Database.read` or `Database.write`; it is a context manager.

    Attributes: `location` as shown to users (without a password), `url`, `path` (None for a server), `files` (the
    folder with the runs' files), `upgraded` ((old revision, new revision, backup or None) if opening upgraded it),
    `patience` (seconds for which a transaction waits for a server that can't be reached or a file that is locked; set
    it while a run trains), `hurried` (whether the process is to stop, so that nothing waits long), `rescuer` (called
    with what happened when the file is no longer where it was, which is an error without one), `rescued` (None, or the
    line that says what happened and where the rows are now), `lost` (None, or the location before that).
    `opened` are the locations that this process has read from or written to, the latest last, for who has to explain an
    error.
    """

    opened: ClassVar[dict[str, None]] = {}

    def __init__(self, location: str, *, writable: bool) -> None:
        """For `read`, `write` and maintenance: parses the location, opens nothing and checks nothing."""
        self.location, self.url, self.path, self.files = database_location.parse(location)
        self.patience = 0.0
        self.hurried: Callable[[], bool] = lambda: False
        self.rescuer: Callable[[str], None] | None = None
        self.rescued: str | None = None
        self.lost: str | None = None
        self.upgraded: tuple[str, str, Path | None] | None = None
        self._writable = writable
        self._engine: Engine | None = None
        self._anchor: Anchor | None = None
        self._alone = threading.RLock()  # one writer at a time, as in the file

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
        if revision == revisions.HEAD:
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
            database._hold()
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self) -> None:
        path = self.path
        if path is not None and not path.parent.is_dir():
            raise CannotWrite(f"no folder {path.parent} for the results database: create it, or name another with --db")
        if path is None:
            if self.revision() != revisions.HEAD:
                self.upgraded = revisions.prepare_server(self.engine, self.location)
            return
        self.refuse_other_kinds()
        header = sqlite.header(path)
        revision = self.revision() if header else None
        if revision != revisions.HEAD or sqlite.uses_wal(header) != sqlite.wants_wal(path):
            self.upgraded = revisions.prepare_file(self.engine, path, self.files, self.location)

    def _hold(self) -> None:
        if self.path is not None:
            self.engine.dispose()  # so that all later connections are to the file that the anchor has
            with translated(self.location):
                self._anchor = Anchor(self.path)

    def look(self) -> None:
        """Notice if the file that is written to is no longer where it was: the `rescuer` is called, or Vanished raised.

        Every transaction does so before it begins.
        """
        with self._alone:
            loss = None if self._anchor is None else self._anchor.loss()
            if loss is None:
                return
            if self.rescuer is None:
                raise self._vanished(loss)
            self.rescuer(loss)

    def _vanished(self, loss: str) -> Vanished:
        return Vanished(f"results database {self.location}: {loss} while it was in use: put it back, and try again")

    def move(self, target: Path) -> None:
        """Copy all that was ever committed to a new file, also out of one whose name is gone, and go on there."""
        if self._anchor is None:
            raise ValueError("only a file that is written to can be moved")
        with self._alone, translated(str(target)):
            try:
                self._anchor.copy(target)
                moved = Anchor(target)
            except BaseException:
                for leftover in sqlite.names(target):
                    leftover.unlink(missing_ok=True)
                raise
            self._anchor.withdraw()
            self.close()
            self.lost = self.location
            self.location, self.url, self.path, self.files = database_location.parse(str(target))
            self._engine, self._anchor = self._create_engine(), moved

    def revision(self, check: Callable[[Connection, str], str | None] = revisions.revision_of) -> str | None:
        """The schema's revision; None for a database without a table. NotADatabase, NewerSchema.

        With `check=schema.stamped`, a newer schema's revision is returned as well.
        """
        path = self.path
        if path is not None:
            self.refuse_other_kinds()
            if not path.exists():
                raise StoreError(_nothing_yet(self.location))
            if path.stat().st_size == 0 and not self._writable:
                raise NotADatabase(
                    f"{self.location} is an empty file, not yet a database: "
                    "try again if a run is just starting, else delete it or name another with --db"
                )
        with self.connect() as session:
            return check(session.connection(), self.location)

    def refuse_other_kinds(self) -> None:
        """NotADatabase for a path where no file can be, ForeignFile for a link where SQLite would write its log."""
        if self.path is None:
            return
        if self.path.is_dir():
            raise NotADatabase(f"{self.location} is a folder, not a results database: name a file with --db")
        if self.path.exists() and not self.path.is_file():
            raise NotADatabase(f"{self.location} is a device or a pipe, not a results database: name a file with --db")
        for log in sqlite.companions(self.path):
            run_files.check(log)

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
        if self._anchor is not None:
            self.look()
        with translated(self.location), self._connection(immediate=False, durable=False) as connection:
            try:
                with Session(connection) as session:
                    yield session
            finally:
                reader = None if self.path is None else connection.connection.dbapi_connection
                if isinstance(reader, reading.Reader):
                    reader.check(self.location)

    @contextmanager
    def transaction(self, *, durable: bool = False, shared: bool = False) -> Iterator[Session]:
        """A session for writing: commits at the end of the body, rolls back if it raises.

        It holds the write lock from the start, so that nobody else changes what the body reads. `shared`: the body
        writes only rows that are its own, or locks those that it reads (`with_for_update`), and may write at the same
        time as others where the database can, which SQLite can't. `durable`: on return, everything committed so far
        survives a power failure, not only the death of the process.
        """
        with ExitStack() as stack:
            if self.path is not None:
                stack.enter_context(self._alone)
                self.look()
            stack.enter_context(translated(self.location))
            session = self._begun(stack, durable)
            connection = session.connection()
            if not shared and connection.dialect.name == "postgresql":
                postgresql.lock(connection, postgresql.WRITERS)
            yield session
            session.commit()

    @contextmanager
    def merging(self) -> Iterator[None]:
        """One process at a time in the body, on any machine where the database is on a server. DatabaseLocked."""
        if self.path is not None:
            with exclusive(self.files / "lock", self.location, max(self.patience, sqlite.BUSY_TIMEOUT)):
                yield
        elif self.engine.dialect.name == "postgresql":
            with translated(self.location), postgresql.alone(self.engine, postgresql.MERGE):
                yield
        else:
            yield

    def close(self) -> None:
        """Close all connections; the last writer of an SQLite file also clears its write-ahead log."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self, stack: ExitStack, durable: bool) -> Session:
        """A session on the stack, in a transaction that may write. Waits for whoever is in the way, then raises."""
        began, end = time.monotonic(), math.inf
        while True:
            try:
                with translated(self.location), ExitStack() as attempt:
                    connection = attempt.enter_context(self._connection(immediate=True, durable=durable))
                    session = attempt.enter_context(Session(connection))
                    session.connection()  # begins, where the session would wait for its first statement
                    stack.push(attempt.pop_all())
                    return session
            except (DatabaseLocked, Disconnected) as error:
                locked, now = isinstance(error, DatabaseLocked), time.monotonic()
                if self.hurried():
                    end = min(end, now + HURRY)
                if now >= min(end, began + max(self.patience, sqlite.BUSY_TIMEOUT if locked else 0.0)):
                    raise
            if not locked:
                time.sleep(1.0)

    @contextmanager
    def _connection(self, *, immediate: bool, durable: bool) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql" and not (immediate and self._writable):
                postgresql.reading(connection)
            yield connection.execution_options(immediate=immediate, durable=durable, patient=immediate)

    def _create_engine(self) -> Engine:
        if self.path is None:
            try:
                if self.url.get_backend_name() == "postgresql":
                    return postgresql.engine(self.url)
                return create_engine(self.url.difference_update_query(["files"]), pool_pre_ping=True)
            except (NoSuchModuleError, ModuleNotFoundError) as error:
                driver = self.url.drivername
                remedy = "pip install 'dapo-cli[postgres]'" if driver.startswith("postgresql") else "install it"
                raise StoreError(f"no driver for {driver} ({error}): {remedy}, or use a path") from error
        path = self.path
        if self._writable:
            engine = create_engine("sqlite://", creator=lambda: self._connected(path), poolclass=QueuePool)
        else:
            # Each reading connects anew: how it may open the file depends on the writers of that moment.
            engine = create_engine("sqlite://", creator=lambda: reading.connect(path), poolclass=NullPool)
        event.listen(engine, "begin", _begin)
        return engine

    def _connected(self, path: Path) -> sqlite3.Connection:
        anchor = self._anchor
        connection = sqlite.connect_writing(path, create=anchor is None)
        if anchor is not None and (loss := anchor.loss()) is not None:  # this very moment
            connection.close()
            raise self._vanished(loss)
        return connection


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("immediate"):
        # In WAL mode NORMAL survives the death of the process, FULL a power failure as well.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options['durable'] else 'NORMAL'}")
        driver: Any = connection.connection.dbapi_connection
        whole = int(sqlite.BUSY_TIMEOUT * 1000)
        driver.execute(f"PRAGMA busy_timeout = {min(whole, _SLICE) if options.get('patient') else whole}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            driver.execute(f"PRAGMA busy_timeout = {whole}")
    else:
        connection.exec_driver_sql("BEGIN")


def _nothing_yet(location: str) -> str:
    return f"no results database at {location} yet: train a run first (dapo train …), or name another with --db"
