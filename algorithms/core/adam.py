"""Adam as a pure function. Source: Kingma and Ba 2015, arXiv 1412.6980, Algorithm 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Adam(NamedTuple):
    """The optimiser's state for a parameter vector: its moments, its step count, and the corrections of the next step.

    The count and what follows from it are tensors, to live in a graph; the corrections are computed one step ahead,
    because a fused loop over the parameters would otherwise compute them again for every element.
    """

    mean: Tensor  # (P,)
    square: Tensor  # (P,)
    # 0-dim. Float32 stops counting at 2^24, where both corrections have long been 1; a 0-dim float64 CPU tensor would
    # be read as a Python number by torch 2.13's compiler and never written back.
    steps: Tensor
    unbias_mean: Tensor  # 0-dim, 1 / (1 - b1^(steps + 1))
    unbias_square: Tensor


B1, B2, EPS = 0.9, 0.999, 1e-8


def adam_init(parameters: Tensor) -> Adam:
    """Zero moments for these parameters."""
    steps = torch.zeros((), device=parameters.device)
    return Adam(torch.zeros_like(parameters), torch.zeros_like(parameters), steps, *_corrections(steps))


def adam_step(parameters: Tensor, gradient: Tensor, adam: Adam, learning_rate: Tensor) -> tuple[Tensor, Adam]:
    """One descent step. Returns (new parameters, new optimiser state)."""
    mean = torch.lerp(adam.mean, gradient, 1 - B1)
    square = B2 * adam.square + (1 - B2) * gradient * gradient
    step = learning_rate * adam.unbias_mean * mean / ((square * adam.unbias_square).sqrt() + EPS)
    steps = adam.steps + 1
    return parameters - step, Adam(mean, square, steps, *_corrections(steps))


def _corrections(steps: Tensor) -> tuple[Tensor, Tensor]:
    """1 / (1 - b^(steps + 1)) for both moments; expm1, because 1 - b^t cancels while t is small."""
    return -1 / torch.expm1((steps + 1) * math.log(B1)), -1 / torch.expm1((steps + 1) * math.log(B2))
