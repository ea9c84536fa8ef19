"""Small models and batches for the tests of the mathematics."""

from __future__ import annotations

from typing import Any

import torch

from algorithms import load
from algorithms.core.types import Batch, Spaces
from algorithms.family.actor_critic import ActorCritic

SPACES = Spaces(observation=5, action=3)


def build(name: str, **hyperparameters: object) -> Any:
    """A small model of the algorithm of that name."""
    settings = {"hidden_sizes": (16, 16), "batch_size": 32} | hyperparameters
    return ActorCritic.build(load(name).Config(**settings), SPACES)


def batch_of(generator: torch.Generator, size: int = 32) -> Batch:
    """Random transitions, some of them terminal."""
    return Batch(
        torch.randn(size, SPACES.observation, generator=generator),
        torch.rand(size, SPACES.action, generator=generator) * 2 - 1,
        torch.randn(size, generator=generator),
        torch.randn(size, SPACES.observation, generator=generator),
        (torch.rand(size, generator=generator) < 0.8).double(),
    )
