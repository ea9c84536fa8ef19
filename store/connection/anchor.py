"""A second hold on an SQLite file that is written to, by which a loss of its name is noticed and its rows are saved.

A file that is removed, renamed or replaced lives on for those who have it open, and takes their rows, where nobody will
look for them. The same holds for the write-ahead log alone, and for its index.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from store.connection import sqlite


class Anchor:
    """Keeps the file, its log and its index open. It has no lock and is in nobody's way."""

    def __init__(self, path: Path) -> None:
        """Of a file that is in its final journal mode; sqlite3.Error."""
        self._connection = sqlite.connect_writing(path, create=False)
        try:
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log and its index
            self._found = {name: _place(name) for name in sqlite.names(path) if name.exists()}
        except BaseException:
            self._connection.close()
            raise

    def loss(self) -> str | None:
        """What has happened to the name of an open file, such as "runs.db was removed"; None as long as all is well."""
        for name, before in self._found.items():
            try:
                if _place(name) != before:
                    return f"{name.name} was replaced by another file"
            except (FileNotFoundError, NotADirectoryError):
                return f"{name.name} was removed or renamed"
            except OSError:  # a disk that does not answer says nothing
                continue
        return None

    def copy(self, target: Path) -> None:
        """Write all that was ever committed to the file into a new one. sqlite3.Error."""
        with closing(sqlite3.connect(target)) as copy:
            copy.execute("PRAGMA synchronous = FULL")
            self._connection.backup(copy)

    def withdraw(self) -> None:
        """Remove the names of the log and its index where the file's own name has another: SQLite would mix the two."""
        (path, place), *others = self._found.items()
        with suppress(OSError):
            if _place(path) != place:
                for name, before in others:
                    if _place(name) == before:
                        name.unlink()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _place(name: Path) -> tuple[int, int]:
    """Device and inode of what has this name now."""
    status = name.stat()
    return status.st_dev, status.st_ino
