"""Evaluation: how good the policy is, apart from how it explores."""

from __future__ import annotations

from typing import NamedTuple

from algorithms._learner import Learner
from dapo_cli.training.envs import Environment


class Played(NamedTuple):
    """One evaluation episode: undiscounted return and length in steps."""

    return_: float
    length: int


def evaluate(learner: Learner, environment: Environment, step: int, episodes: int) -> list[Played]:
    """Plays `episodes` with mean actions. Touches none of the run's random numbers, so a run is the same without it."""
    played = []
    for number in range(episodes):
        observation = environment.reset(step, number)
        return_, length, done = 0.0, 0, False
        while not done:
            observation, reward, terminated, truncated = environment.step(learner.policy_action(observation))
            return_ += reward
            length += 1
            done = terminated or truncated
        played.append(Played(return_, length))
    return played
