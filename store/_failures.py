"""Turns what the database driver and the file system raise into StoreErrors of one line."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from store.errors import CannotWrite, DatabaseLocked, NotADatabase, StoreError

# Primary SQLite result codes; the extended ones start with the same words.
_SQLITE = {
    "SQLITE_BUSY": (DatabaseLocked, "another process keeps it locked: try again when that process is done"),
    "SQLITE_LOCKED": (DatabaseLocked, "another process keeps it locked: try again when that process is done"),
    "SQLITE_NOTADB": (NotADatabase, "that is not an SQLite database: name another with --db"),
    "SQLITE_CORRUPT": (StoreError, "the file is damaged: dapo db check says how, and what to restore"),
    "SQLITE_FULL": (CannotWrite, "the disk is full: free some space, then resume the run"),
    "SQLITE_READONLY": (CannotWrite, "it is not writable: check its permissions, or name another with --db"),
    "SQLITE_PERM": (CannotWrite, "it is not accessible: check its permissions, or name another with --db"),
    "SQLITE_CANTOPEN": (CannotWrite, "it can't be opened: check the folder and its permissions, or use another --db"),
    "SQLITE_IOERR": (CannotWrite, "the disk fails or is full: check it, or name another place with --db"),
}


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Re-raise database errors of the body as StoreErrors about the database at `location`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _translate(error, location) from error


@contextmanager
def translated_files(what: str) -> Iterator[None]:
    """Re-raise OSErrors of the body as CannotWrite about `what`, such as "the folder runs.db.files"."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "check its permissions, or name another place with --db"
        raise CannotWrite(f"can't write {what}: {error.strerror or error}: {remedy}") from error


def _translate(error: Exception, location: str) -> StoreError:
    cause: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig
    name = getattr(cause, "sqlite_errorname", "")
    for code, (kind, remedy) in _SQLITE.items():
        if name.startswith(code):
            return kind(f"results database {location}: {remedy}")
    # Servers name the trouble in the first line of their message; hints follow.
    first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return StoreError(f"results database {location}: {first_line}")
