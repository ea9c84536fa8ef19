"""Adam as a pure function. Source: Kingma and Ba 2015, arXiv 1412.6980, Algorithm 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Adam(NamedTuple):
    """The optimiser's state for a parameter vector: its moments, and its step count, a tensor to live in a graph."""

    mean: Tensor  # (P,)
    square: Tensor  # (P,)
    # 0-dim. Float32 stops counting at 2^24, where both corrections have long been 1; a 0-dim float64 CPU tensor would
    # be read as a Python number by torch 2.13's compiler and never written back.
    steps: Tensor


def adam_init(parameters: Tensor) -> Adam:
    """Zero moments for these parameters."""
    steps = torch.zeros((), device=parameters.device)
    return Adam(torch.zeros_like(parameters), torch.zeros_like(parameters), steps)


def adam_step(
    parameters: Tensor,
    gradient: Tensor,
    adam: Adam,
    learning_rate: Tensor,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Tensor, Adam]:
    """One descent step. Returns (new parameters, new optimiser state)."""
    steps = adam.steps + 1
    mean = torch.lerp(adam.mean, gradient, 1 - b1)
    square = b2 * adam.square + (1 - b2) * gradient * gradient
    # expm1, because 1 - b2^t cancels in the first steps
    unbias_mean = -1 / torch.expm1(steps * math.log(b1))
    unbias_square = -1 / torch.expm1(steps * math.log(b2))
    step = learning_rate * unbias_mean * mean / ((square * unbias_square).sqrt() + eps)
    return parameters - step, Adam(mean, square, steps)
