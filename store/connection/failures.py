"""Turns what the database driver and the file system raise into StoreErrors of one line."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError

from store.errors import CannotWrite, DatabaseLocked, Disconnected, NotADatabase, StoreError, Vanished

# Primary SQLite result codes; the extended ones start with the same words.
_SQLITE = {
    "SQLITE_BUSY": (DatabaseLocked, "another process keeps it locked: try again when that process is done"),
    "SQLITE_LOCKED": (DatabaseLocked, "another process keeps it locked: try again when that process is done"),
    "SQLITE_NOTADB": (NotADatabase, "that is not an SQLite database: name another with --db"),
    "SQLITE_CORRUPT": (StoreError, "the file is damaged: dapo db check says how, and what to restore"),
    "SQLITE_FULL": (CannotWrite, "the disk is full: free some space, then resume the run"),
    "SQLITE_READONLY_DBMOVED": (Vanished, "it was removed or renamed while it was in use: put it back, and try again"),
    "SQLITE_READONLY": (CannotWrite, "it is not writable: check its permissions, or name another with --db"),
    "SQLITE_PERM": (CannotWrite, "it is not accessible: check its permissions, or name another with --db"),
    "SQLITE_CANTOPEN": (CannotWrite, "it can't be opened: check the folder and its permissions, or use another --db"),
    "SQLITE_IOERR": (CannotWrite, "the disk fails or is full: check it, or name another place with --db"),
}

# PostgreSQL's codes (SQLSTATE), or the classes that they start with.
_POSTGRESQL = {
    "40": (DatabaseLocked, "other writers were in the way: try again"),
    "55P03": (DatabaseLocked, "another process keeps it locked: try again when that process is done"),
    "42501": (CannotWrite, "this user may not do that: grant it the rights, or name another with --db"),
    "25006": (CannotWrite, "it is not writable: name the primary server, or another database, with --db"),
    "53100": (CannotWrite, "the server's disk is full: free some space, then resume the run"),
}
# Before there is a connection, only words tell; of these, some go away by themselves.
_REFUSED = {
    "password": "check the user and the password (in the URL, PGPASSWORD or ~/.pgpass)",
    "pg_hba.conf": "the server does not let this user in from here: ask its administrator",
    "role": "check the user's name in the URL",
    "does not exist": "create it there (createdb), or correct the name in the URL",
}
_PASSING = ("the database system is", "recovery", "too many clients", "connection slots")


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Re-raise database errors of the body as StoreErrors about the database at `location`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _translate(error, location) from error


@contextmanager
def translated_files(what: str, elsewhere: str = "another place with --db") -> Iterator[None]:
    """Re-raise OSErrors of the body as CannotWrite about `what`, such as "the folder runs.db.files"."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else f"check its permissions, or name {elsewhere}"
        raise CannotWrite(f"can't write {what}: {error.strerror or error}: {remedy}") from error


def _translate(error: Exception, location: str) -> StoreError:
    cause: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig
    name = getattr(cause, "sqlite_errorname", "")
    for code, (kind, remedy) in _SQLITE.items():
        if name.startswith(code):
            return kind(f"results database {location}: {remedy}")
    if isinstance(cause, sqlite3.Error):  # such as a table that is not there: another program had its hands in it
        line = " ".join(str(cause).split())
        return StoreError(f"results database {location}: {line}: see what is wrong with it by: dapo db check")
    return _of_server(error, cause, location)


def _of_server(error: Exception, cause: BaseException, location: str) -> StoreError:
    state = getattr(cause, "sqlstate", None) or ""
    for code, (kind, remedy) in _POSTGRESQL.items():
        if state.startswith(code):
            return kind(f"results database {location}: {remedy}")
    # Servers name the trouble in the first line of their message; hints follow.
    line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Disconnected(f"results database {location}: the connection to the server broke ({line}): try again")
    if not isinstance(error, OperationalError) or state:
        return StoreError(f"results database {location}: {line}")
    _, refused, why = line.partition("FATAL:")
    if not refused or any(word in why for word in _PASSING):
        return Disconnected(
            f"results database {location}: {why or line}: is the server running, and its address right?"
        )
    remedy = next((remedy for word, remedy in _REFUSED.items() if word in why), "ask the server's administrator")
    return StoreError(f"results database {location}: {why}: {remedy}")
