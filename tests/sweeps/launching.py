"""A small sweep, its command line in a process of its own, and its record without what depends on the clock."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

RUNS = 4
SWEEP = """
algo = ["dapo-kl", "sac"]
env = "Pendulum-v1"
seeds = 2
steps = 800
learning_starts = 200
checkpoint_every = 200
eval_every = 400
eval_episodes = 1
hidden_sizes = [16, 16]
batch_size = 16
"""
TABLES = {
    "episode": 'number, step, "return", length, terminated, truncated',
    "evaluation": 'step, actions, number, "return", length',
    "metric": "name, step, value, value_kind",
    "hyperparameter": "name, value, type, origin",
}


def start(folder: Path, *arguments: str, python: str = sys.executable) -> subprocess.Popen[str]:
    """`dapo` with these arguments in this folder, which gets the sweep's file `main.toml`."""
    (folder / "main.toml").write_text(SWEEP)
    command = [python, "-P", "-m", "dapo_cli", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[str], code: int = 0, seconds: float = 400) -> str:
    """Wait for the process, which must end with this code; returns what it said on standard error."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == code, out + err
    return err


def query(database: Path, statement: str) -> list[Any]:
    """The rows of a statement; none as long as the database is not there."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.OperationalError:
        return []


def wait_for(what: Callable[[], Any], seconds: float = 200) -> Any:
    """What `what` returns once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def record(database: Path) -> dict[tuple[Any, ...], dict[str, list[Any]]]:
    """Of each run, by algorithm and seed, with its status and exactness: its rows without times and ids."""
    runs = query(database, "SELECT id, algo, seed, status, exactness, step FROM run")
    return {
        tuple(run): {
            table: query(database, f"SELECT {columns} FROM {table} WHERE run_id = '{id_}' ORDER BY 1, 2, 3")
            for table, columns in TABLES.items()
        }
        for id_, *run in runs
    }
