"""CartPole-v1 learned within a stated budget, by exact sums over its two actions; a flipped gradient misses it."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest
from test_learning import flipped

import algorithms
from dapo_cli.configuration import run_configuration
from dapo_cli.errors import RunFailed
from dapo_cli.training import session
from store.records.summaries import evaluation_curves
from store.session import Database

pytestmark = pytest.mark.slow

SOLVED = 475.0
BUDGET = {"env": "CartPole-v1", "steps": 20_000, "eval_every": 4000, "eval_episodes": 100, "compile": "off"}
SETTINGS = [
    "learning_starts=1000",
    "hidden_sizes=[64, 64]",
    "batch_size=128",
    "learning_rate=1e-3",
    "critic_updates_per_step=2",
    "critic_reduction=mean",
    "polyak=0.01",
    "temperature=1.0",
]


def best_evaluation(folder: Path, algo: str) -> float:
    """The highest mean return of 100 episodes, evaluated every 4000 of 20 000 steps."""
    resolved = run_configuration.resolve(BUDGET | {"algo": algo, "seed": 0}, SETTINGS, directory=folder)
    run_id = session.start(resolved, str(folder / "runs.db"))
    with Database.read(str(folder / "runs.db")) as db:
        return max(evaluation_curves(db)[run_id][1])


@pytest.mark.parametrize("algo", ["sac", "dapo-kl", "dapo-l2"])
def test_cart_pole_is_solved(tmp_path: Path, algo: str) -> None:
    assert best_evaluation(tmp_path, algo) >= SOLVED


def test_cart_pole_is_not_solved_with_a_flipped_policy_gradient(tmp_path: Path, monkeypatch) -> None:
    phases = algorithms.load("dapo-kl").PHASES
    monkeypatch.setitem(phases, "policy", flipped(phases["policy"]))
    score = -math.inf
    with contextlib.suppress(RunFailed):  # it may as well diverge
        score = best_evaluation(tmp_path, "dapo-kl")
    assert score < 200
