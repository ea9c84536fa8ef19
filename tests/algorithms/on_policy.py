"""On-policy algorithms for tests, and small learners that have collected transitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from variants import CONTINUOUS, learns_from_replay

import algorithms
from algorithms.core.types import Spaces
from algorithms.learner.base import named_leaves
from algorithms.learner.on_policy import OnPolicyLearner

NAMES = [name for name in algorithms.names() if not learns_from_replay(name)]
T, B, EPOCHS = 32, 8, 3
SMALL = {"hidden_sizes": (16, 16), "rollout_steps": T, "batch_size": B, "epochs": EPOCHS, "learning_rate": 1e-3}


def learner(
    name: str, spaces: Spaces = CONTINUOUS, seed: int = 0, compiled: bool = False, **hyperparameters: object
) -> OnPolicyLearner:
    module: Any = algorithms.load(name)
    return OnPolicyLearner(module, module.Config(**(SMALL | hyperparameters)), spaces, seed, compiled=compiled)


def collect(made: OnPolicyLearner, steps: int, seed: int = 1) -> None:
    """Transitions of a made-up environment whose reward likes the first coordinate of the action; some of them end."""
    rng = np.random.default_rng([seed, made.replay.total])
    s = rng.normal(size=made.model.spaces.observation)
    for _ in range(steps):
        a, s2 = made.act(s), rng.normal(size=made.model.spaces.observation)
        terminated, truncated = rng.random() < 0.1, rng.random() < 0.1
        made.add(s, a, float(a[0] + rng.normal()), s2, terminated, truncated)
        made.update()
        s = s2


def snapshot(made: OnPolicyLearner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in named_leaves(made.state)}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}
