"""How another program may open an SQLite file for reading: as one that nobody changes, or beside its writers."""

from __future__ import annotations

from pathlib import Path

from store.connection import sqlite

LIVE = "live"


def state(path: Path) -> str:
    """LIVE where a writer has the file open or might have, else a mark of this content, which nobody is changing.

    With any other mark than before, what was opened as immutable is no longer to be trusted.
    """
    if not sqlite.is_idle(path):
        return LIVE
    status = path.stat()
    return f"{status.st_ino}.{status.st_mtime_ns}.{status.st_size}"
