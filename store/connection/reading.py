"""How a reader opens an SQLite file: so that it sees one state, hinders no writer, and leaves the folder as it was.

Only a log and an index beside a file in WAL mode keep a writer from changing pages that a reader still needs. Where
they are there, because a writer is, a reader uses them as anyone does. Where they are not, it makes them, and deletes
them when it is done. Where it must not make any (a read-only folder, a full disk, another user's file, whose owner
could not open them), it reads without locks, and finds out at its end whether anything has changed meanwhile.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from store.connection import sqlite
from store.connection.durable import flush_names
from store.errors import StoreError


class Reader(sqlite3.Connection):
    """A connection that can't write. One that reads without locks has a `stamp`: of the file as it was found."""

    path: Path
    stamp: tuple[int, int] | None = None

    def check(self, location: str) -> None:
        """Raise StoreError if a writer has changed the file under a connection without locks: it saw no one state."""
        if self.stamp is not None and self.stamp != _stamp(self.path):
            raise StoreError(f"{location} was written to while it was read: run the command again")


class _Tidy(Reader):
    """One that made the log, and deletes it unless others have come to use it.

    SQLite lets only a connection that might write delete the log, and such a one, if it is the last to close, also
    writes back what others left in it. That is the next writer's work, not a reader's: then the last one is another.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):
            if sqlite.has_log(self.path):
                with closing(sqlite3.connect(_uri(self.path, "mode=ro"), uri=True)) as last:
                    last.execute("SELECT 1 FROM sqlite_master LIMIT 1")
                    super().close()
        super().close()


def connect(path: Path) -> Reader:
    """A reading connection to an existing file; sqlite3.Error if that is impossible.

    Its transactions are begun by us, and each sees one state from its first statement on.
    """
    if sqlite.has_log(path) or not sqlite.uses_wal(sqlite.header(path)):
        return _open(path, "mode=ro", Reader)
    if _may_make_files(path):
        with suppress(sqlite3.Error):
            return _tidy(path)
    stamp = _stamp(path)
    reader = _open(path, "mode=ro&immutable=1", Reader)
    reader.stamp = stamp
    return reader


def copy(path: Path, target: Path) -> None:
    """A consistent copy of the database, also while it is written to. It gets its name when it is whole.

    sqlite3.Error is of reading; OSError of writing.
    """
    aside = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        with closing(connect(path)) as source:
            try:
                with closing(sqlite3.connect(aside)) as destination:
                    source.backup(destination)
            except sqlite3.Error as error:
                if (number := _of_writing(error)) is None:
                    raise
                raise OSError(number, os.strerror(number), str(target)) from error
            source.check(str(path))
        aside.replace(target)
        flush_names(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def _of_writing(error: sqlite3.Error) -> int | None:
    """The system's number for an error that only the copy can have had, as its source is but read."""
    name = getattr(error, "sqlite_errorname", "")
    numbers = {
        "SQLITE_FULL": errno.ENOSPC,
        "SQLITE_CANTOPEN": errno.EACCES,
        "SQLITE_READONLY": errno.EROFS,
        "SQLITE_IOERR_WRITE": errno.EIO,
        "SQLITE_IOERR_FSYNC": errno.EIO,
        "SQLITE_IOERR_TRUNCATE": errno.EIO,
    }
    return next((number for code, number in numbers.items() if name.startswith(code)), None)


def _tidy(path: Path) -> Reader:
    reader = _open(path, "mode=rw", _Tidy)
    try:
        reader.execute("PRAGMA query_only = ON")
        reader.execute("SELECT 1 FROM sqlite_master LIMIT 1")  # makes the log, or fails
    except BaseException:
        reader.close()
        raise
    return reader


def _may_make_files(path: Path) -> bool:
    user = os.geteuid()  # what root makes, SQLite gives to the owner of the database
    return user in (0, path.stat().st_uid) and all(os.access(place, os.W_OK) for place in (path, path.parent))


def _open(path: Path, how: str, kind: type[Reader]) -> Reader:
    reader = sqlite3.connect(
        _uri(path, how),
        uri=True,
        timeout=sqlite.BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        factory=kind,
    )
    reader.path = path
    sqlite.teach(reader)
    return reader


def _uri(path: Path, how: str) -> str:
    return f"{path.as_uri()}?{how}"


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
