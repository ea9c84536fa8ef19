"""How far the critics overestimate: one more episode at every evaluation, played as in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.core.types import Batch
from algorithms.learner.base import Learner
from dapo_cli.training.environments.gym_environment import Environment


def overestimation(
    learner: Learner,
    environment: Environment,
    generator: np.random.Generator,
    *episode: int,
    watch: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Plays the episode of that number with actions drawn from the policy by `generator`, and measures the critics.

    The policy is the one whose values they estimate, which the mean actions of an evaluation are not. Touches none of
    the run's random numbers. `watch` is called after each step.
    """
    observations: list[NDArray[Any]] = [environment.reset(*episode)]
    actions, rewards = [], []
    terminated = truncated = False
    while not (terminated or truncated):
        actions.append(learner.policy_action(observations[-1], generator))
        observation, reward, terminated, truncated = environment.step(actions[-1])
        observations.append(observation)
        rewards.append(reward)
        if watch:
            watch()
    s = torch.from_numpy(np.array(observations, np.float32))
    bootstrap = torch.ones(len(rewards))
    bootstrap[-1] = not terminated
    return learner.overestimation(
        Batch(s[:-1], torch.from_numpy(np.array(actions, np.float32)), torch.tensor(rewards), s[1:], bootstrap)
    )
