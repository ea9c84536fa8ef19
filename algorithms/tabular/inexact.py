"""A step that misses its target by a Bregman divergence of ε in every state: what the theorems with errors allow."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap
from algorithms.tabular.mirror_descent import Improve

Orientation = Literal["yf", "fy"]
"""yf: D_Φ(π, π̂), DAPO's dual divergence D_Φ*(y, f); fy: the other order, D_Φ(π̂, π)."""

ORIENTATIONS: tuple[Orientation, ...] = ("yf", "fy")

_BISECTIONS = 16  # of log t: to one part in a thousand
_LEAST = 1e-14  # t


def controlled_error(Phi: MirrorMap, epsilon: float, orientation: Orientation) -> Improve:
    """Moves the exact π̂ = ∇Φ*(y) towards the action of least y until the divergence is ε, or that action is taken.

    The most harmful direction: it is the one in which the target loses most.
    """

    def improve(y: Tensor) -> Tensor:
        return moved(Phi, Phi.project(y), worst(y), epsilon, orientation)

    return improve


def worst(y: Tensor) -> Tensor:
    """The action of least dual value, as a distribution."""
    return torch.nn.functional.one_hot(y.argmin(-1), y.shape[-1]).to(y.dtype)


def moved(Phi: MirrorMap, pi: Tensor, towards: Tensor, epsilon: float, orientation: Orientation) -> Tensor:
    """(1 - t) π + t p with about the largest t ≤ 1 whose divergence is at most ε; it grows with t in either order."""
    low, high = torch.full_like(pi[..., :1], _LEAST), torch.ones_like(pi[..., :1])
    for _ in range(_BISECTIONS):
        middle = (low * high).sqrt()
        too_far = error(Phi, pi + middle * (towards - pi), pi, orientation).unsqueeze(-1) > epsilon
        low, high = torch.where(too_far, low, middle), torch.where(too_far, middle, high)
    return pi + low * (towards - pi)


def error(Phi: MirrorMap, pi: Tensor, target: Tensor, orientation: Orientation) -> Tensor:
    """The divergence of a policy from its target in each state, (..., S)."""
    return Phi.divergence(pi, target) if orientation == "yf" else Phi.divergence(target, pi)
