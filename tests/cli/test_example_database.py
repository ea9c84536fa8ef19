"""runs.db.example: real runs that a new user can look at, of the off-policy family, without anything of the machine."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "runs.db.example"
FAMILY = {"ampo", "dapo-kl", "dapo-l2", "mampo", "mdpo", "sac"}


@pytest.fixture
def example() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{EXAMPLE}?mode=ro", uri=True)) as connection:
        yield connection


def test_the_family_on_three_environments_with_two_seeds(example: sqlite3.Connection) -> None:
    runs = example.execute("SELECT algo, env, seed, steps, status, step FROM run").fetchall()
    environments = {env for _, env, *_ in runs}
    assert len(environments) >= 3
    for algo in FAMILY:
        for env in environments:
            assert len({run[2] for run in runs if run[:2] == (algo, env)}) >= 2, (algo, env)
    for *_, steps, status, step in runs:
        assert steps >= 20_000
        assert (status, step) == ("completed", steps) or status == "diverged"


def test_it_is_small_and_says_nothing_of_the_machine(example: sqlite3.Connection) -> None:
    assert EXAMPLE.stat().st_size < 8_000_000
    assert not EXAMPLE.with_name(f"{EXAMPLE.name}.files").exists()
    assert example.execute("SELECT count(*) FROM checkpoint").fetchone() == (0,)
    assert example.execute("SELECT count(*) FROM run WHERE host IS NOT NULL OR dirty").fetchone() == (0,)
    assert example.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_looking_at_it_shows_something_and_changes_nothing(dapo: Callable[..., Any]) -> None:
    before = hashlib.sha256(EXAMPLE.read_bytes()).digest()
    compared = json.loads(dapo("compare", "--db", str(EXAMPLE), "--json").out)
    assert {row["algo"] for row in compared} == FAMILY
    assert all(row["n"] >= 1 and row["value"] is not None for row in compared)
    table = dapo("table", "--db", str(EXAMPLE), "--rows", "algo", "--cols", "env")
    assert table.code == 0
    assert "dapo-kl" in table.out
    assert hashlib.sha256(EXAMPLE.read_bytes()).digest() == before
    assert not list(EXAMPLE.parent.glob("runs.db.example-*"))
