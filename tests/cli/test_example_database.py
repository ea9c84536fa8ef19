"""runs.db.example: the runs behind docs/results.md, without anything of the machine, and the page that they make."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "runs.db.example"
ALGORITHMS = {
    "ampo",
    "dapo-kl",
    "dapo-l2",
    "mampo",
    "mdpo",
    "sac",
    "sac-sb3",
}  # with five seeds and more on HalfCheetah-v4


@pytest.fixture
def example() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{EXAMPLE}?mode=ro", uri=True)) as connection:
        yield connection


def test_five_seeds_and_more_of_the_registered_ones(example: sqlite3.Connection) -> None:
    runs = example.execute("SELECT algo, env, seed, steps, status, step FROM run WHERE kind = 'train'").fetchall()
    for algo in ALGORITHMS:
        assert len({run[2] for run in runs if run[:2] == (algo, "HalfCheetah-v4")}) >= 5, algo
    for *_, seed, steps, status, step in runs:
        assert seed >= 100  # those of the protocol
        assert steps >= 20_000
        assert (status, step) == ("completed", steps) or status in ("diverged", "failed")


def test_it_is_small_and_says_nothing_of_the_machine(example: sqlite3.Connection) -> None:
    assert EXAMPLE.stat().st_size <= 10_000_000
    assert not EXAMPLE.with_name(f"{EXAMPLE.name}.files").exists()
    assert example.execute("SELECT count(*) FROM checkpoint").fetchone() == (0,)
    assert example.execute("SELECT count(*) FROM worker").fetchone() == (0,)
    assert example.execute("SELECT count(*) FROM run WHERE host IS NOT NULL OR dirty").fetchone() == (0,)
    texts = example.execute("SELECT command FROM run UNION SELECT note FROM run UNION SELECT message FROM event")
    assert [text for (text,) in texts if text and re.search(r"(^|[\s='\"])/", text)] == []  # no absolute path
    assert example.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_page_of_results_is_what_the_runs_say(dapo: Callable[..., Any]) -> None:
    """Its tables by `dapo verify`, and every block, the numbers of the pictures too, by the script that writes it."""
    page = ROOT / "docs" / "results.md"
    verified = dapo("verify", str(page), "--db", str(EXAMPLE))
    text = page.read_text(encoding="utf-8")
    tables = re.findall(r"^dapo table \w+ begins$", text, re.MULTILINE)
    assert (verified.code, verified.out.count("as they were")) == (0, len(tables))
    script = runpy.run_path(str(ROOT / "benchmarks" / "evidence.py"))
    os.chdir(ROOT)  # the page's commands name docs/claims.toml; the fixture puts the folder back
    assert script["refreshed"](text, str(EXAMPLE), draw=False) == text
    for picture in re.findall(r"\]\((results/\S+\.png)\)", text):
        assert (page.parent / picture).stat().st_size > 10_000


def test_looking_at_it_shows_something_and_changes_nothing(dapo: Callable[..., Any]) -> None:
    before = hashlib.sha256(EXAMPLE.read_bytes()).digest()
    compared = json.loads(dapo("compare", "--db", str(EXAMPLE), "--json").out)
    assert {row["algo"] for row in compared} >= ALGORITHMS
    assert all(row["n"] >= 1 and row["value"] is not None for row in compared)
    table = dapo("table", "--db", str(EXAMPLE), "--rows", "algo", "--cols", "env")
    assert table.code == 0
    assert "dapo-kl" in table.out
    assert hashlib.sha256(EXAMPLE.read_bytes()).digest() == before
    assert not list(EXAMPLE.parent.glob("runs.db.example-*"))
