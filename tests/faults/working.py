"""A worker in a process of its own, and an import beside many others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dapo_cli.sweeps.work import supervisor
from store.connection import sqlite
from store.errors import StoreError
from store.records import imports
from store.records.imports import EpisodeRow
from store.session import Database


class Quiet:
    """A screen that writes its warnings into a file."""

    def __init__(self, location: str) -> None:
        self._said = Path(f"{location}.said")

    def happened(self, run_id: str, status: str, reason: str) -> None:
        """Says nothing."""

    def look(self, db: Database) -> None:
        """Says nothing."""

    def warn(self, message: str) -> None:
        with self._said.open("a") as file:
            file.write(message + "\n")


def work(location: str, held: float) -> None:
    """A worker that passes over a run whose lock is held for so many seconds."""
    supervisor.HELD, supervisor.BEAT = held, 0.5
    try:
        supervisor.work(location, supervisor.Order(), Quiet(location))
    except StoreError:
        os._exit(2)
    os._exit(0)


def record_runs(location: str, ready: Any, start: Any, numbers: Sequence[int], rows: int) -> None:
    """Imports that all begin at once on a path where there may be nothing, on a disk where nobody waits for long."""
    ready.release()
    start.wait()
    with Database.write(location) as db:
        sqlite.BUSY_TIMEOUT = 0.05
        for number in numbers:
            run = {"algo": "sac", "env": "e", "seed": number, "steps": rows, "source": "elsewhere"}
            episodes = [EpisodeRow(step + 1, float(step)) for step in range(rows)]
            imports.record(db, run=run, origin={"sha256": str(number) * 32, "path": "p"}, episodes=episodes)
