"""Evaluation: how good the policy is, apart from how it explores."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from algorithms.learner.base import Learner
from dapo_cli.training.environments.gym_environment import Environment


class Played(NamedTuple):
    """One evaluation episode: undiscounted return and length in steps."""

    return_: float
    length: int


def evaluate(
    learner: Learner,
    environment: Environment,
    step: int,
    episodes: int,
    *,
    generator: np.random.Generator | None = None,
    watch: Callable[[int], None] | None = None,
) -> list[Played]:
    """Plays `episodes` with mean actions, or with actions drawn by a generator.

    Touches none of the run's random numbers, so a run is the same without it. `watch` is called with the episode's
    number after its reset and after each of its steps.
    """
    played = []
    for number in range(episodes):
        observation = environment.reset(step, number)
        return_, length, done = 0.0, 0, False
        if watch:
            watch(number)
        while not done:
            action = learner.policy_action(observation, generator)
            observation, reward, terminated, truncated = environment.step(action)
            if watch:
                watch(number)
            return_ += reward
            length += 1
            done = terminated or truncated
        played.append(Played(return_, length))
    return played
