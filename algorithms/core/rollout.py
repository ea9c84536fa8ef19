"""Rollouts: consecutive transitions of one policy, their advantages, and the minibatches made of them.

Source of the estimator: Schulman et al. 2015, "High-Dimensional Continuous Control Using Generalized Advantage
Estimation", arXiv 1506.02438. T transitions of a rollout; other shapes as in `types.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from algorithms.core.types import Spaces

LEAST_STD = 1e-8  # of advantages that are to be normalised


class Rollout(NamedTuple):
    """T consecutive transitions. Where an episode terminated, `bootstrap` is 0; where it ended at all, `end` is 1."""

    observation: Tensor  # (T, S)
    action: Tensor  # (T, A)
    reward: Tensor  # (T,)
    next_observation: Tensor  # (T, S), before a reset
    bootstrap: Tensor  # (T,)
    end: Tensor  # (T,), termination or truncation

    @staticmethod
    def widths(spaces: Spaces) -> list[int]:
        """Numbers of each part in one packed transition."""
        return [spaces.observation, spaces.action, 1, spaces.observation, 1, 1]

    @classmethod
    def unpack(cls, rows: Tensor, spaces: Spaces) -> Rollout:
        """Views into packed rows (T, sum of the widths)."""
        s, a, r, s2, c, end = torch.split(rows, cls.widths(spaces), dim=-1)
        return cls(s, a, r.squeeze(-1), s2, c.squeeze(-1), end.squeeze(-1))


class Minibatch(NamedTuple):
    """What a gradient step sees of some of a rollout's transitions."""

    observation: Tensor  # (B, S)
    action: Tensor  # (B, A)
    advantage: Tensor  # (B,)
    value_target: Tensor  # (B,)

    @classmethod
    def unpack(cls, rows: Tensor, spaces: Spaces) -> Minibatch:
        """Views into packed rows (B, S + A + 2)."""
        s, a, advantage, target = torch.split(rows, [spaces.observation, spaces.action, 1, 1], dim=-1)
        return cls(s, a, advantage.squeeze(-1), target.squeeze(-1))


def gae(rollout: Rollout, v: Tensor, next_v: Tensor, gamma: Tensor, gae_lambda: Tensor) -> Tensor:
    """Â_t = δ_t + γλ Â_{t+1}, (T,), with δ_t = r_t + γ V(s_{t+1}) - V(s_t). Eq. 16 of arXiv:1506.02438.

    V(s_{t+1}) counts as 0 after a termination and is the critic's after a truncation; both cut the trace, as does the
    end of the rollout. `v` and `next_v` (T,) are V at the observations and at the next ones.
    """
    delta = rollout.reward + gamma * rollout.bootstrap * next_v - v
    return decaying_sum(delta, gamma * gae_lambda * (1 - rollout.end))


def discounted_returns(rollout: Rollout, before: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """R_t = r_t + γ R_{t-1}, (T,), begun anew in each episode, and what of it the next rollout begins with, 0-dim.

    `before` 0-dim is what an earlier rollout left.
    """
    decay = gamma * (1 - rollout.end)
    reward = torch.cat([rollout.reward[:1] + before, rollout.reward[1:]])
    R = decaying_sum(reward.flip(0), torch.cat([decay[:-1].flip(0), decay[:1]])).flip(0)
    return R, decay[-1] * R[-1]


def decaying_sum(x: Tensor, decay: Tensor) -> Tensor:
    """y_t = x_t + decay_t y_{t+1}, (T,), with nothing after the last."""
    # The recursion's steps compose: after the step of length n, each y_t holds the 2n terms that follow. So log T
    # operations on whole vectors do what T on numbers would.
    span = 1
    while span < len(x):
        x = x + torch.cat([decay[:-span] * x[span:], torch.zeros_like(decay[:span])])
        decay = torch.cat([decay[:-span] * decay[span:], torch.zeros_like(decay[:span])])
        span *= 2
    return x


def normalised(advantage: Tensor) -> Tensor:
    """Shifted and scaled to mean 0 and standard deviation 1."""
    return (advantage - advantage.mean()) / (advantage.std() + LEAST_STD)
