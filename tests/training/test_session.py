"""Whole runs, short ones: what is recorded, and how a run ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from short_runs import only_run, record, rows, status, train

from algorithms.learner.off_policy import OffPolicyLearner
from dapo_cli.errors import BadInput, DapoError, RunFailed
from dapo_cli.training import live, making
from store.records import runs
from store.session import Database


def test_a_run_leaves_its_whole_record(db: str) -> None:
    run_id = train(db, tags=None)
    kept = record(db, run_id)
    assert [episode[0] for episode in kept["episodes"]] == [0, 1, 2, 3]
    assert [episode[1] for episode in kept["episodes"]] == [200, 400, 600, 800]
    assert {(step, number) for step, number, *_ in kept["evaluations"]} == {
        (step, number) for step in (400, 800, 900) for number in (0, 1)
    }
    assert {name for name, *_ in kept["metrics"]} >= {
        "critic_loss",
        "actor_loss",
        "temperature",
        "entropy",
        "kl_old",
        "eta",
    }
    with Database.read(db) as database:
        run = runs.get(database, run_id)
        settings = {row["name"]: row for row in runs.hyperparameters(database, run_id)}
    assert run["status"] == "completed"
    assert run["step"] == 900
    assert run["exactness"] == "exact"
    assert {"python", "torch", "gymnasium", "mujoco"} <= set(run["versions"])
    for name in ("command", "host", "processor", "threads", "device", "backend", "pid", "wall_time"):
        assert run[name] is not None, name
    assert settings["beta"]["value"] == 0.5
    assert settings["beta"]["symbol"] == "β"
    assert settings["beta"]["origin"] == "default"
    assert settings["hidden_sizes"]["value"] == [16, 16]
    assert settings["hidden_sizes"]["origin"] == "command line"
    assert not (Path(f"{db}.files") / run_id / "replay").exists()


@pytest.mark.parametrize("algo", ["sac", "dapo-kl"])
def test_the_seed_determines_the_run_and_evaluations_do_not(db: str, algo: str) -> None:
    first = record(db, train(db, algo=algo))
    again = record(db, train(db, algo=algo))
    other = record(db, train(db, algo=algo, seed=1))
    rarely = record(db, train(db, algo=algo, eval_every=0))
    assert first == again
    assert first["episodes"] != other["episodes"]
    assert first["episodes"] == rarely["episodes"]
    assert first["tensors"] == rarely["tensors"]


def test_divergence_is_a_result(db: str) -> None:
    with pytest.raises(RunFailed, match="diverged") as caught:
        train(db, "learning_rate=1e30")
    assert caught.value.exit_code == 1
    assert status(db, only_run(db)) == "diverged"
    ((reason,),) = rows(db, "SELECT reason FROM run")
    assert "not finite" in reason or "nan" in reason


class Faulty(gymnasium.Env[np.ndarray, np.ndarray]):
    """Raises, or returns NaN, at its 40th step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space: ClassVar[gymnasium.Space[Any]] = gymnasium.spaces.Box(-2, 2, (1,), np.float32)

    def __init__(self, fault: str) -> None:
        self.fault, self.steps = fault, 0

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(2, np.float32), {}

    def step(self, _: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 40 and self.fault == "raise":
            raise OSError("the simulator\nis gone")
        return np.zeros(2, np.float32), float("nan") if self.steps == 40 else 0.0, False, False, {}


class Several(Faulty):
    action_space: ClassVar[gymnasium.Space[Any]] = gymnasium.spaces.MultiDiscrete([3, 2])


for name, entry in (("Faulty-v0", Faulty), ("Several-v0", Several)):
    gymnasium.register(name, entry_point=entry, kwargs={"fault": "raise"})
gymnasium.register("Poisoned-v0", entry_point=Faulty, kwargs={"fault": "nan"})


def test_an_environment_that_raises_fails_the_run(db: str) -> None:
    with pytest.raises(RunFailed, match="OSError: the simulator is gone"):
        train(db, env="Faulty-v0")
    run_id = only_run(db)
    assert status(db, run_id) == "failed"
    ((data,),) = rows(db, "SELECT data FROM event WHERE kind = 'traceback'")
    assert "Traceback" in data
    assert rows(db, "SELECT step FROM run") == [(39,)]


def test_an_update_that_raises_fails_the_run(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An algorithm's own error, or the device's."""

    def update(learner: OffPolicyLearner) -> None:
        if learner.replay.total == 300:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(OffPolicyLearner, "update", update)
    with pytest.raises(RunFailed, match="OutOfMemoryError: CUDA out of memory"):
        train(db)
    assert status(db, only_run(db)) == "failed"
    assert rows(db, "SELECT step FROM run") == [(299,)]  # an update belongs to its step
    ((data,),) = rows(db, "SELECT data FROM event WHERE kind = 'traceback'")
    assert "Traceback" in data


def test_a_screen_that_has_gone_does_not_end_a_run(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    for name in ("info", "warning"):
        monkeypatch.setattr(live.console, name, gone)
    assert status(db, train(db, steps=300)) == "completed"


@pytest.mark.parametrize("setting", ["buffer_size=1e15", "hidden_sizes=[4000000000000000000]"])
def test_what_cannot_be_allocated_is_bad_input(setting: str, db: str) -> None:
    with pytest.raises(BadInput, match="lower buffer_size"):
        train(db, setting)
    assert list(Path(db).parent.iterdir()) == []


def test_a_learner_that_fails_to_be_made_is_no_lack_of_memory(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(making, "learner_of", lambda _: mistaken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        train(db)
    assert list(Path(db).parent.iterdir()) == []


def test_an_environment_that_returns_nan_ends_the_run(db: str) -> None:
    with pytest.raises(RunFailed, match="environment's reward or observation at step 39 is not finite"):
        train(db, env="Poisoned-v0")
    assert status(db, only_run(db)) == "diverged"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("HalfCheeta-v4", ["did you mean", "HalfCheetah-v4"]),
        ("Several-v0", ["MultiDiscrete", "Box"]),
        ("Blackjack-v1", ["Tuple", "FlattenObservation"]),
        ("no_such_module:Env-v0", ["cannot import 'no_such_module'"]),
    ],
)
def test_nothing_is_written_for_an_environment_that_cannot_be_trained_on(db: str, env: str, words: list[str]) -> None:
    with pytest.raises(DapoError) as caught:
        train(db, env=env)
    for word in words:
        assert word in str(caught.value)
    assert os.listdir(Path(db).parent) == []  # noqa: PTH208
