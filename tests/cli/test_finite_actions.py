"""Discrete environments and binned continuous actions, from the command line to the exported policy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import onnxruntime
import pytest

from dapo_cli.errors import BadInput
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.environments.action_spaces import actions_of
from dapo_cli.training.policy import onnx_model, policy_files
from store.records import runs
from store.records.summaries import latest
from store.session import Database

SHORT = "--steps 300 --eval-every 150 --eval-episodes 2 --checkpoint-every 100 -q"
TINY = "--set hidden_sizes=[16,16] --set batch_size=8 --set learning_starts=50"


def test_discrete_choices_are_the_environments() -> None:
    actions = actions_of(gymnasium.spaces.Discrete(3, start=-1), "x")
    assert (actions.size, actions.choices) == (1, 3)
    assert [actions.to_environment(np.array([c], np.float32)) for c in range(3)] == [-1, 0, 1]


def test_bins_reach_both_bounds_in_equal_steps() -> None:
    space = gymnasium.spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
    actions: Any = actions_of(space, "x", 5)
    assert (actions.size, actions.choices) == (2, 5)
    assert actions.to_environment(np.array([0, 4], np.float32)).tolist() == [-2.0, 1.0]
    assert actions.values.tolist() == [[-2, -1, 0, 1, 2], [0, 0.25, 0.5, 0.75, 1]]
    assert space.contains(actions.to_environment(np.array([3, 1], np.float32)))


@pytest.mark.parametrize(
    ("space", "bins", "message"),
    [
        (gymnasium.spaces.Discrete(3), 5, "leave bins out"),
        (gymnasium.spaces.Discrete(1), 0, "nothing to learn"),
        (gymnasium.spaces.MultiBinary(3), 0, "MultiBinary actions; the algorithms take Box"),
    ],
)
def test_what_no_algorithm_can_act_in(space: gymnasium.Space, bins: int, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        actions_of(space, "x", bins)


def test_discrete_observations_are_one_hot() -> None:
    environment = gym_environment.Environment("FrozenLake-v1", 0, gym_environment.TRAINING)
    observation = environment.reset(0)
    assert environment.spaces == (16, 1, 4)
    assert observation.tolist() == [1.0] + [0.0] * 15
    observation, *_ = environment.step(np.array([2], np.float32))
    assert observation.sum() == 1.0
    environment.close()


@pytest.mark.parametrize(
    ("algo", "env", "more"),
    [
        ("sac", "CartPole-v1", ""),
        ("dapo-l2", "FrozenLake-v1", ""),
        ("dapo-tsallis", "Pendulum-v1", "--set bins=3 --set q=1.3"),
    ],
)
def test_train_resume_evaluate_and_export(dapo, tmp_path, algo, env, more) -> None:
    trained = dapo("train", "--algo", algo, "--env", env, *SHORT.split(), *TINY.split(), *more.split())
    assert trained.code == 0, trained.err
    with Database.read("runs.db") as database:
        (run,) = runs.listing(database)
    shown = json.loads(dapo("show", run["id"], "--json").out)
    assert shown["counts"]["evaluation"] == 4
    assert shown["metrics"]["dual_error"] >= 0
    played = dapo("evaluate", run["id"], "--json")
    assert json.loads(played.out)["recorded"] == "same", played.err
    assert dapo("export-policy", run["id"], "--out", "policy").code == 0
    card = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert card["policy"] == "factored"
    assert len(card["action"]["values"][0]) == card["action"]["choices"]


def test_the_exported_model_acts_as_the_policy(dapo, tmp_path) -> None:
    from dapo_cli.training.policy.trained import trained

    command = "train --algo dapo-tsallis --env Pendulum-v1 --set bins=5"
    assert dapo(*command.split(), *SHORT.split(), *TINY.split()).code == 0
    with Database.read("runs.db") as database:
        (run,) = runs.listing(database)
        with trained(database, run["id"]) as policy:
            arrays = policy_files.tensors(policy)
            model = onnx_model.model(arrays, "relu")
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            observations = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
            action, choice = session.run(["action", "choice"], {"observation": observations})
            own = [policy.actor.policy_action(o) for o in observations]
            expected = [policy.environment.actions.to_environment(a) for a in own]
            np.testing.assert_array_equal(choice, np.stack(own))
            np.testing.assert_allclose(action, np.stack(expected), atol=1e-6)
            assert len(set(choice.ravel().tolist())) > 1


def test_what_a_space_does_not_admit_is_one_line(dapo, tmp_path) -> None:
    for arguments, message in (
        ("--algo dapo-tsallis --env Pendulum-v1 --set q=0.5", "q = 0.5: for continuous actions"),
        ("--algo mdpo --env CartPole-v1 --set faithful=true", "faithful = true"),
        ("--algo sac --env CartPole-v1 --set bins=3", "leave bins out"),
        ("--algo dapo-l2 --env Pendulum-v1 --set orientation=fy", "needs finite actions"),
    ):
        outcome = dapo("train", *arguments.split(), "--steps", "100")
        assert outcome.code == 2
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    assert not (tmp_path / "runs.db").exists()


@pytest.mark.slow
def test_lunar_lander_trains(tmp_path) -> None:
    """Where Box2D is installed. In a process of its own: Box2D crashes where its own warnings are errors."""
    typed = f"train --algo dapo-l2 --env LunarLander-v3 {SHORT} {TINY} --db {tmp_path / 'runs.db'}"
    subprocess.run([sys.executable, "-P", "-m", "dapo_cli", *typed.split()], check=True)
    with Database.read(str(tmp_path / "runs.db")) as database:
        (run,) = runs.listing(database)
        assert len(latest(database, run["id"])["evaluation"]["returns"]) == 2
    assert run["status"] == "completed"
