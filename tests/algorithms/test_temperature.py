"""An automatic temperature settles, also where the target policy flips with the noise of the critics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import algorithms
from algorithms.core.finite import FiniteCritics
from algorithms.core.types import Spaces
from algorithms.learner.off_policy import OffPolicyLearner as Learner


@dataclasses.dataclass(frozen=True)
class Noisy(FiniteCritics):
    """Critics of a bandit that are nothing but noise: Q(s, 0) = -Q(s, 1) is normal, anew for each state and update."""

    def _values(self, _parameters: Tensor, observation: Tensor) -> Tensor:
        return torch.randn(1, len(observation), 1, 1) * torch.tensor([1.0, -1.0])


def learner(name: str, **choice: object) -> Learner:
    """With a temperature that begins at 0.2, far from where it settles."""
    sizes: dict[str, Any] = {"hidden_sizes": (8,), "batch_size": 256, "buffer_size": 64, "learning_starts": 0}
    module: Any = algorithms.load(name)
    config = module.Config(**sizes, learning_rate=1e-2, critic_updates_per_step=0, **choice)
    made = Learner(module, config, Spaces(2, 1, 2), 0)
    critic = made.model.critic
    made.model = dataclasses.replace(made.model, critic=Noisy(critic.network, "mean", 2))
    for number in range(64):
        made.replay.add(np.ones(2), np.array([number % 2]), 0.0, np.ones(2), True)
    return made


@pytest.mark.parametrize("name", ["dapo-kl-star", "dapo-l2", "dapo-tsallis"])
def test_it_settles_where_it_follows_the_target_and_else_vanishes(name: str) -> None:
    """π^θ tends to E[π̂], uniform here: of it no τ makes anything less random, of π̂ some τ does."""
    torch.manual_seed(0)
    temperatures = {}
    for follows in ("target", "policy"):
        made, found = learner(name, temperature_follows=follows), []
        for _ in range(900):
            made.update()
            found.append(made.model.temperature(made.state, made.coefficients).item())
        temperatures[follows] = np.array(found)
    last = temperatures["target"][-300:]
    assert 0.2 < last.min() <= last.max() < 1.5 * last.min()
    assert temperatures["policy"][-1] < 1e-3
