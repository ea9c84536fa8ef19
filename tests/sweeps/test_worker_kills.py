"""A sweep whose workers and runs are killed is, to the last bit, the sweep that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dapo_cli.sweeps.definition import grid, plan, sweep_file
from dapo_cli.sweeps.definition.sweep_file import Definition
from dapo_cli.training import session
from store.queue import sweeps
from store.records import runs
from store.session import Database

ROWS = {
    "episode": 'number, step, "return", return_kind, length, terminated, truncated',
    "evaluation": 'step, actions, number, "return", return_kind, length',
    "metric": "name, step, value, value_kind",
}
TINY = ["hidden_sizes=[[8,8]]", "batch_size=8", "learning_starts=100", "log_every=50"]


def sweep(seeds: int, betas: str, steps: int) -> Definition:
    """Runs of 2.5 times `learning_starts` or more, with a checkpoint every 50 steps."""
    often: dict[str, Any] = {"steps": steps, "eval_every": 100, "eval_episodes": 1, "checkpoint_every": 50}
    typed = sweep_file.typed_layer(
        algo="dapo-kl", env="Pendulum-v1", seeds=str(seeds), name="main", assignments=[*TINY, f"beta={betas}"], **often
    )
    return sweep_file.from_command_line(typed)


def query(location: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(location, timeout=30)) as connection:
        return connection.execute(statement, values).fetchall()


def record(location: Path) -> dict[Any, Any]:
    """All rows of each run without times, by what identifies it whoever trained it when."""
    found = {}
    for run_id, configuration in query(location, "SELECT id, configuration FROM run"):
        rows = {
            table: query(location, f"SELECT {columns} FROM {table} WHERE run_id = ? ORDER BY 1, 2, 3", run_id)
            for table, columns in ROWS.items()
        }
        state = query(location, "SELECT status, exactness, step FROM run WHERE id = ?", run_id)
        found[configuration] = (state, rows)
    return found


def worker(location: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "dapo_cli", "worker", "--db", str(location), *options]
    return subprocess.Popen(command, cwd=location.parent, stderr=subprocess.DEVNULL)


def undisturbed(location: Path, wanted: Definition) -> None:
    """Every run in this process, in the reverse order."""
    for config in reversed(grid.expand(wanted)):
        session.start(config, str(location))


def disturbed(location: Path, wanted: Definition, workers: int, kills: int, seconds: float) -> None:
    """The sweep under `workers` workers; after a checkpoint, a worker or a run's process is killed, `kills` times."""
    plan.enqueue(str(location), wanted)
    chance = random.Random(0)
    alive = [worker(location, "--jobs", str(1 + number % 2)) for number in range(workers)]
    pids = {process.pid: process for process in alive}
    seen: set[Any] = set()
    deadline = time.monotonic() + seconds
    try:
        while any(process.poll() is None for process in pids.values()):
            assert time.monotonic() < deadline, "the sweep did not end in time"
            time.sleep(0.05)
            fresh = query(
                location,
                "SELECT run.id, checkpoint.step, run.pid, worker.pid FROM checkpoint JOIN run ON run.id = run_id "
                "JOIN worker ON worker.id = worker_id WHERE status = 'running' AND checkpoint.step < run.steps",
            )
            fresh = [row for row in fresh if row[:2] not in seen and row[3] in pids]
            if not fresh or kills == 0:
                continue
            run_id, _, run_pid, worker_pid = chance.choice(fresh)
            seen |= {row[:2] for row in query(location, "SELECT run_id, step FROM checkpoint WHERE run_id = ?", run_id)}
            kills -= 1
            if kills % 3 == 0:
                with suppress(ProcessLookupError):
                    os.kill(run_pid, signal.SIGKILL)
            else:
                pids[worker_pid].kill()
                pids[worker_pid].wait()
                replacement = worker(location)
                pids[replacement.pid] = replacement
        assert kills == 0, "the sweep was over before all kills"
    finally:
        for process in pids.values():
            process.kill()
            process.wait()


def compare(tmp_path: Path, wanted: Definition, count: int, **how: Any) -> None:
    disturbed(tmp_path / "disturbed.db", wanted, **how)
    undisturbed(tmp_path / "calm.db", wanted)
    found, expected = record(tmp_path / "disturbed.db"), record(tmp_path / "calm.db")
    assert len(expected) == count
    assert {state[0][0] for state, _ in expected.values()} == {"completed"}
    assert all(rows["episode"] and rows["evaluation"] and rows["metric"] for _, rows in expected.values())
    assert found == expected
    with Database.read(str(tmp_path / "disturbed.db")) as db:
        kinds = [event["kind"] for run in runs.listing(db) for event in runs.events(db, run["id"])]
        assert kinds.count("resumed") >= how["kills"] // 2
        assert len(sweeps.progress(db, sweeps.get(db, "main")["id"])) == count


def test_six_runs_with_a_worker_and_a_run_killed(tmp_path):
    compare(tmp_path, sweep(3, "0.1,0.5", 250), 6, workers=2, kills=2, seconds=540)


@pytest.mark.slow
def test_forty_runs_with_kills_at_random_checkpoints(tmp_path):
    compare(tmp_path, sweep(10, "0.1,0.3,0.5,0.9", 300), 40, workers=3, kills=12, seconds=1500)
