"""What must hold after any harm, as a reader of the database sees it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import harm

from dapo_cli.selftest.contents import contents
from store.records import runs
from store.session import Database

Rows = set[tuple[Any, ...]]


class Witness:
    """A reader of the database while others write: what it has seen must be there for ever."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.seen: dict[str, Rows] = {}

    def look(self) -> None:
        """Compares with what was seen before, and remembers."""
        if not Path(self.location).exists() or Path(self.location).stat().st_size == 0:
            assert self.seen == {}
            return
        with Database(self.location, writable=False) as db:
            if db.revision() is None:  # its creator died: nothing was there
                assert self.seen == {}
                return
            found = {}
            with db.connect() as session:
                connection = session.connection()
                for table in ("episode", "evaluation", "metric", "hyperparameter", "event"):
                    order = ["number", "step", "name", "value", "return", "length", "kind", "message"]
                    columns = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}
                    kept = ", ".join(f'"{name}"' for name in ["run_id", *order] if name in columns)
                    rows = connection.exec_driver_sql(f"SELECT {kept} FROM {table}")
                    found[table] = {tuple(row) for row in rows}
        for table, rows in self.seen.items():
            assert rows <= found[table], f"rows of {table} are gone"
        self.seen = found

    def watch(self, process: BaseProcess, seconds: float) -> None:
        """Looks again and again until the process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while process.is_alive() and time.monotonic() < deadline:
            self.look()
            process.join(0.05)

    def check(self) -> str:
        """After the process: the file is sound, nothing is missing, and the status of the one run, if there is one."""
        self.look()
        connection = sqlite3.connect(self.location)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
        with Database.read(self.location) as db:
            found = runs.listing(db)
        return str(found[0]["status"]) if found else "none"


def run_to_its_end(start: Callable[..., BaseProcess], location: str, seconds: float = 300) -> None:
    """Trains or resumes the run in a process, unharmed."""
    process = start(harm.train, location)
    process.join(seconds)
    assert process.exitcode == 0, process.exitcode


def result(location: str, run_id: str | None = None) -> dict[str, object]:
    """What a run came to, of a database with one run unless it is named."""
    with Database.read(location) as db:
        (run,) = (run for run in runs.listing(db) if run_id in (None, run["id"]))
        assert (run["status"], run["exactness"]) == ("completed", "exact")
        return dict(contents(db, run["id"]))
