"""Short whole runs and what they left, for the tests of training."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from dapo_cli.configuration import run_configuration
from dapo_cli.training import loop, session
from store.records import runs
from store.session import Database

TINY = ["hidden_sizes=[16, 16]", "batch_size=8", "learning_starts=150", "buffer_size=500", "log_every=100"]
OPTIONS = {"algo": "dapo-kl", "env": "Pendulum-v1", "steps": 900, "eval_every": 400, "eval_episodes": 2}


def train(db: str, *assignments: str, **options: Any) -> str:
    options = OPTIONS | {"checkpoint_every": 200} | options
    resolved = run_configuration.resolve(options, [*TINY, *assignments], directory=Path(db).parent)
    return session.start(resolved, db)


def rows(db: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(db) as connection:
        return connection.execute(sql, parameters).fetchall()


def record(db: str, run_id: str) -> dict[str, Any]:
    """What must repeat: episodes without their wall time, evaluations, diagnostics, and the final tensors."""
    episodes = (
        'SELECT number, step, "return", length, terminated, truncated FROM episode WHERE run_id = ? ORDER BY number'
    )
    (path,) = rows(db, "SELECT path FROM checkpoint WHERE run_id = ? ORDER BY step DESC LIMIT 1", run_id)[0]
    tensors = load_file(Path(f"{db}.files") / run_id / path / "tensors.safetensors")
    return {
        "episodes": rows(db, episodes, run_id),
        "evaluations": rows(db, 'SELECT step, number, "return", length FROM evaluation WHERE run_id = ?', run_id),
        "metrics": rows(db, "SELECT name, step, value FROM metric WHERE run_id = ?", run_id),
        "tensors": {name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
    }


def status(db: str, run_id: str) -> str:
    with Database.read(db) as database:
        return str(runs.get(database, run_id)["status"])


def only_run(db: str) -> str:
    ((run_id,),) = rows(db, "SELECT id FROM run")
    return str(run_id)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, signum: int = signal.SIGINT) -> None:
    original = loop.Loop.advance

    def stepping(self: loop.Loop) -> None:
        original(self)
        if self.progress.step == step and self.stop.requested is None:  # once in a group
            signal.raise_signal(signum)

    monkeypatch.setattr(loop.Loop, "advance", stepping)
