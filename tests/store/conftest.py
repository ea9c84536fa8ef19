"""The store's contract, run over every backend: a new one joins by another value of `location`'s parameters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import runs
from store.session import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database may be made; there is none yet."""
    return str(tmp_path / "runs.db")


@pytest.fixture
def database(location: str) -> Iterator[Database]:
    """An empty database, open for writing."""
    with Database.write(location) as opened:
        yield opened


@pytest.fixture
def make_run(database: Database) -> Callable[..., str]:
    """Creates a run; keywords are columns, except `hyperparameters` (name -> value) and `tags`."""

    def make(hyperparameters: dict[str, object] | None = None, tags: tuple[str, ...] = (), **columns: object) -> str:
        settings = [
            {"name": name, "value": value, "origin": "default"} for name, value in (hyperparameters or {}).items()
        ]
        run = {"algo": "sac", "env": "HalfCheetah-v4", "seed": 0, "steps": 1000, **columns}
        return runs.create(database, run=run, hyperparameters=settings, tags=tags)

    return make


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Runs a script in a fresh interpreter and returns what it prints; fails with its error."""

    def run(script: str, *arguments: str) -> str:
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    return run
