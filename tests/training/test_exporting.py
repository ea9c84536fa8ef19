"""An exported policy acts as the run's does: without dapo, whatever its network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import onnxruntime
import pytest
import torch

import algorithms
from algorithms.core.mlp import ACTIVATIONS, ARRAY_ACTIVATIONS
from algorithms.core.standardised import moments
from dapo_cli.training.checkpoint import Loaded
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.policy import onnx_model, policy_files
from dapo_cli.training.policy.trained import Actor, Trained

DOCUMENT = Path(__file__).parents[2] / "docs" / "policies.md"
LOW, HIGH = np.array([[-1, 0, -3]], np.float32), np.array([[2, 0.5, -1]], np.float32)


class Uneven(gymnasium.Env[np.ndarray, np.ndarray]):
    """Only its spaces matter: five numbers, and an action (1, 3) with bounds of its own in each coordinate."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float64)
    action_space: gymnasium.Space[Any] = gymnasium.spaces.Box(LOW, HIGH, dtype=np.float32)


gymnasium.register("Uneven-v0", entry_point=Uneven)


@pytest.fixture
def policy() -> Iterator[Callable[..., Trained]]:
    """Makes an untrained policy on Uneven-v0; keywords are hyperparameters."""
    environment = gym_environment.Environment("Uneven-v0", 0, gym_environment.EVALUATION)

    def make(algo: str = "sac", **hyperparameters: Any) -> Trained:
        algorithm: Any = algorithms.load(algo)
        actor = Actor(algorithm, algorithm.Config(**hyperparameters), environment.spaces, 3)
        generator = torch.Generator().manual_seed(1)
        actor.state.actor.add_(0.1 * torch.randn(actor.state.actor.shape, generator=generator))
        return Trained({}, "x", None, actor, environment, Loaded(0, {}, {}, {}), ())  # type: ignore[arg-type]

    yield make
    environment.close()


def observations() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)


def own_actions(policy: Trained) -> np.ndarray:
    """What `dapo evaluate` would do, (100, 3)."""
    to_environment = policy.environment.actions.to_environment
    return np.array([to_environment(policy.actor.policy_action(o)).ravel() for o in observations()])


def own_log_stds(policy: Trained) -> np.ndarray:
    parameters = policy.actor.state.actor
    return policy.actor.model.policy.distribution(parameters, torch.from_numpy(observations())).log_std.numpy()


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_model_and_the_weights_act_as_the_policy(policy: Any, activation: str, layer_norm: bool) -> None:
    made = policy(activation=activation, layer_norm=layer_norm, hidden_sizes=(64, 32, 16))
    expected, tensors = own_actions(made), policy_files.tensors(made)
    assert np.all((expected > LOW) & (expected < HIGH))
    assert expected.std(0).min() > 0.01

    model = onnx_model.model(tensors, activation)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    action, mean, log_std = session.run(["action", "mean", "log_std"], {"observation": observations()})
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(log_std, own_log_stds(made), rtol=0, atol=1e-5)
    centre, half = tensors["action.centre"], tensors["action.half"]
    np.testing.assert_allclose(centre + half * np.tanh(mean), expected, rtol=0, atol=1e-6)
    (single,) = session.run(["action"], {"observation": observations()[:1]})
    np.testing.assert_allclose(single, expected[:1], rtol=0, atol=1e-6)

    # The card's words, in float64.
    h = observations().astype(np.float64)
    for i in range(3):
        h = h @ tensors[f"{i}.weight"] + tensors[f"{i}.bias"]
        if layer_norm:
            h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)
            h = h * tensors[f"{i}.scale"] + tensors[f"{i}.shift"]
        h = ARRAY_ACTIVATIONS[activation](h)
    action = centre + half * np.tanh(h @ tensors["mean.weight"] + tensors["mean.bias"])
    np.testing.assert_allclose(action, expected, rtol=0, atol=1e-6)


def test_an_on_policy_policy_keeps_what_it_standardises_by(policy: Any) -> None:
    """Moments as a rollout would give them; some inputs are beyond the cut."""
    made = policy("ppo", initialisation="uniform")
    seen = moments((5,))._replace(mean=torch.arange(5.0), variance=torch.tensor([1.0, 4.0, 0.0025, 1.0, 1.0]))
    made.actor.state.actor.copy_(made.actor.model.policy.network.standardising(made.actor.state.actor, seen))
    expected, tensors = own_actions(made), policy_files.tensors(made)
    session = onnxruntime.InferenceSession(
        onnx_model.model(tensors, "tanh").SerializeToString(), providers=["CPUExecutionProvider"]
    )
    action, log_std = session.run(["action", "log_std"], {"observation": observations()})
    np.testing.assert_allclose(action, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(log_std, own_log_stds(made), rtol=0, atol=1e-5)

    standard = (observations() - tensors["input.mean"]) / tensors["input.std"]
    assert np.abs(standard).max() > 10
    h = np.clip(standard, -10, 10)
    for i in range(2):
        h = np.tanh(h @ tensors[f"{i}.weight"] + tensors[f"{i}.bias"])
    mean = np.tanh(h @ tensors["mean.weight"] + tensors["mean.bias"])
    action = tensors["action.centre"] + tensors["action.half"] * mean
    np.testing.assert_allclose(action, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("number", "package"), [(0, "safetensors"), (1, "onnxruntime")])
def test_the_documented_lines_load_it_without_dapo(policy: Any, tmp_path: Path, number: int, package: str) -> None:
    """In an interpreter that knows the packages of this one, but none of ours."""
    made = policy()  # the default network
    arrays = policy_files.tensors(made)
    (tmp_path / policy_files.WEIGHTS).write_bytes(policy_files.safetensors_bytes(arrays))
    (tmp_path / policy_files.MODEL).write_bytes(onnx_model.model(arrays, "relu").SerializeToString())
    np.save(tmp_path / "observation.npy", observations())
    lines = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[number]
    assert len([line for line in lines.splitlines() if line]) <= 5
    assert package in lines
    before = """
import importlib.util, numpy
assert not any(map(importlib.util.find_spec, ("dapo_cli", "algorithms", "store")))
observation = numpy.load("observation.npy")
"""
    after = "\nnumpy.save('action.npy', action)\n"
    (tmp_path / "use.py").write_text(before + lines + after)
    packages = str(Path(np.__file__).parents[1])
    # -S: without the .pth file by which an editable installation is found.
    done = subprocess.run(
        [sys.executable, "-S", "use.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": packages},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "action.npy"), own_actions(made), rtol=0, atol=1e-6)
