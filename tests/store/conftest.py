"""The store's contract, run over SQLite and over a real PostgreSQL server.

A test of what only SQLite has takes `on_sqlite` as its mark.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import Server, serve

from store.records import runs
from store.session import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test process's own; a test that stops it starts it again."""
    with serve() as started:
        yield started


@pytest.fixture
def new_database(server: Server, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes an empty database on the server and returns its URL; its runs' files are the test's."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test_{secrets.token_hex(6)}")
        server.execute(f"CREATE DATABASE {names[-1]}")
        return server.location(names[-1], files=str(tmp_path / f"{names[-1]}.files"))

    yield make
    for name in names:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database may be made; there is none yet."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.db")
    return request.getfixturevalue("new_database")()


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


@pytest.fixture
def still(monkeypatch):
    """The recorder's thread stays asleep, so that only `flush` and `close` write."""
    monkeypatch.setattr("store.records.recorder.INTERVAL", 1e6)
