"""On-policy algorithms trained, stopped amid a rollout and resumed, and taken further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from short_runs import interrupt_at, only_run, record, rows

import algorithms
from algorithms.core.types import Metrics
from algorithms.family import actor_value
from dapo_cli.configuration import run_configuration
from dapo_cli.errors import Interrupted
from dapo_cli.training import extension, session
from dapo_cli.training.policy.trained import trained
from store.records.summaries import final_training
from store.session import Database

NAMES = [name for name in algorithms.names() if algorithms.on_policy(algorithms.load(name))]
TINY = ["hidden_sizes=[16, 16]", "rollout_steps=200", "batch_size=50", "epochs=2", "log_every=100"]
SHORT = {"steps": 700, "eval_every": 300, "eval_episodes": 2, "checkpoint_every": 250, "compile": "off"}


def start(db: str, algo: str, *assignments: str, env: str = "Pendulum-v1", **options: Any) -> str:
    typed = SHORT | {"algo": algo, "env": env} | options
    return session.start(run_configuration.resolve(typed, [*TINY, *assignments], directory=Path(db).parent), db)


@pytest.mark.parametrize(("algo", "env"), [("dapo-kl-on", "Pendulum-v1"), ("dapo-l2-on", "CartPole-v1")])
def test_a_run_stopped_amid_a_rollout_goes_on_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algo: str, env: str
) -> None:
    whole, broken = str(tmp_path / "whole.db"), str(tmp_path / "broken.db")
    expected = record(whole, start(whole, algo, env=env))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 470)  # 70 transitions into the third rollout, between two checkpoints
        with pytest.raises(Interrupted):
            start(broken, algo, env=env)
    run_id = only_run(broken)
    session.resume(broken, run_id)
    assert record(broken, run_id) == expected
    assert rows(broken, "SELECT exactness FROM run") == [("exact",)]
    names = {name for (name,) in rows(broken, "SELECT DISTINCT name FROM metric")}
    assert names >= {"kl_old", "entropy", "eta", "v_overestimation", "discounted_return", "explained_variance"}


@pytest.mark.parametrize(("keep", "exactness"), [("true", "exact"), ("false", "approximate")])
def test_a_finished_run_is_taken_further(tmp_path: Path, keep: str, exactness: str) -> None:
    db, other = str(tmp_path / "runs.db"), str(tmp_path / "other.db")
    parent = start(db, "ppo", f"keep_replay={keep}")
    child = session.extend(extension.plan(db, parent, {"steps": 900}), db)
    assert rows(db, "SELECT exactness FROM run WHERE id = ?", child) == [(exactness,)]
    if exactness == "exact":
        assert (
            record(db, child)["tensors"] == record(other, start(other, "ppo", "keep_replay=true", steps=900))["tensors"]
        )


def test_the_policy_of_a_run_plays_again(tmp_path: Path) -> None:
    db = str(tmp_path / "runs.db")
    run_id = start(db, "mdpo-on")
    with Database.read(db) as database, trained(database, run_id) as policy:
        observation = policy.environment.reset(0)
        assert policy.actor.policy_action(observation).shape == (1,)


# CartPole-v1: a random policy keeps the pole up for about 20 steps.
CARTPOLE = {"env": "CartPole-v1", "steps": 10_240, "eval_every": 0, "eval_episodes": 1, "compile": "off"}
CARTPOLE_SETTINGS = ["hidden_sizes=[32, 32]", "rollout_steps=512", "batch_size=64", "epochs=8", "learning_rate=2e-3"]
BALANCED = 300.0


def balance(folder: Path, algo: str) -> float:
    """Mean return of the last ten training episodes."""
    db = str(folder / "runs.db")
    run_id = session.start(
        run_configuration.resolve(CARTPOLE | {"algo": algo}, CARTPOLE_SETTINGS, directory=folder), db
    )
    with Database.read(db) as database:
        return float(final_training(database, window=10)[run_id]["mean"])


@pytest.mark.parametrize("algo", NAMES)
def test_cartpole_is_learned(tmp_path: Path, algo: str) -> None:
    assert balance(tmp_path, algo) > BALANCED


def test_a_flipped_policy_gradient_misses_the_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = algorithms.load("dapo-kl-on")
    step = module.policy_step

    def mutant(model: Any, state: Any, *rest: Any) -> tuple[Any, Metrics]:
        new, metrics = step(model, state, *rest)
        return new._replace(actor=2 * state.actor - new.actor), metrics

    monkeypatch.setattr(module, "policy_step", mutant)
    assert balance(tmp_path, "dapo-kl-on") < BALANCED / 3


def test_advantages_of_other_transitions_miss_the_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = actor_value.gae
    monkeypatch.setattr(actor_value, "gae", lambda *arguments: estimator(*arguments).flip(0))
    assert balance(tmp_path, "ppo") < BALANCED / 2
