"""Action-value critics: several networks Q_1 … Q_N, evaluated as one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from algorithms.core.mlp import MLP
from algorithms.core.tanh_gaussian import Draw
from algorithms.core.types import Spaces


@dataclass(frozen=True)
class Critics:
    """N independent critics Q_i(s, a) of continuous actions."""

    network: MLP
    reduction: str

    @classmethod
    def build(
        cls, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool, n: int, reduction: str
    ) -> Critics:
        """N critic networks for these spaces."""
        return cls(MLP((spaces.observation + spaces.action, *hidden_sizes, 1), activation, layer_norm, n), reduction)

    def of_action(self, parameters: Tensor, observation: Tensor, action: Tensor) -> Tensor:
        """All critics' values (N, B) of the actions (B, A) that were taken."""
        values = self.network(parameters, torch.cat([observation, action], dim=-1)).squeeze(-1)
        return values if self.network.copies > 1 else values[None]

    def joint(self, parameters: Tensor, observation: Tensor, action: Tensor) -> Tensor:
        """The critics' joint value (B,) of the actions (B, A)."""
        values = self.of_action(parameters, observation, action)
        if self.reduction == "first":
            return values[0]
        return values.amin(0) if self.reduction == "min" else values.mean(0)

    def of_draw(self, parameters: Tensor, observation: Tensor, draw: Draw) -> Tensor:
        """The critics' joint value (B,) of the actions of a draw, or (K, B) of K at each of the observations (B, S)."""
        if draw.action.ndim == observation.ndim:
            return self.joint(parameters, observation, draw.action)
        many = observation.repeat(len(draw.action), 1)
        return self.joint(parameters, many, draw.action.flatten(0, 1)).view(draw.log_prob.shape)

    def single(self) -> Critics:
        """One network like one of these critics, for another function of state and action."""
        return Critics(replace(self.network, copies=1), "first")
