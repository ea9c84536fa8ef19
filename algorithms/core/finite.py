"""Policies and critics of finite actions: every choice is evaluated, and every mean is an exact sum.

An action has A coordinates with n choices each: A = 1 for a discrete environment, and the number of coordinates of a
continuous action that is cut into bins. The policy is a product of its coordinates' distributions π_i = ∇Φ*(f_i), f_i
the network's output, and the critics are sums, Q(s, a) = Σ_i Q_i(s, a_i) [R], as in Seyde et al. 2023,
arXiv 2210.12566 (who take the mean): so an expectation, too, is a sum over the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap, NegativeEntropy
from algorithms.core.mlp import MLP
from algorithms.core.types import Spaces

LEAST = 1e-30  # a probability whose logarithm is taken


class Simplices(NamedTuple):
    """A distribution in each coordinate, with its dual vector: π_i = ∇Φ*(f_i)."""

    dual: Tensor  # (B, A, n), f
    prob: Tensor  # (B, A, n)
    log_prob: Tensor  # (B, A, n), not below log LEAST for a map that reaches zero


class AllActions(NamedTuple):
    """Every choice in every coordinate, weighted; a mean over a draw is Σ_i Σ_a weight_i(a) value_i(a)."""

    weight: Tensor  # (B, A, n)
    log_prob: Tensor  # (B, A, n)


@dataclass(frozen=True)
class Factored:
    """π(a|s) = Π_i π_i(a_i|s). Values of a draw are (B, A, n); noise is not needed."""

    network: MLP
    mirror_map: MirrorMap
    choices: int

    @classmethod
    def build(
        cls, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool, mirror_map: MirrorMap
    ) -> Factored:
        """A policy network for these spaces."""
        outputs = spaces.action * spaces.choices
        return cls(
            MLP((spaces.observation, *hidden_sizes, outputs), activation, layer_norm), mirror_map, spaces.choices
        )

    def distribution(self, parameters: Tensor, observation: Tensor) -> Simplices:
        """π(·|s) for observations (B, S)."""
        dual: Tensor = self.network(parameters, observation)
        return self.of_dual(dual.view(*dual.shape[:-1], -1, self.choices))

    def of_dual(self, dual: Tensor) -> Simplices:
        """∇Φ*(f) of dual vectors (B, A, n)."""
        if isinstance(self.mirror_map, NegativeEntropy):
            log_prob = torch.log_softmax(dual, -1)
            return Simplices(dual, log_prob.exp(), log_prob)
        prob = self.mirror_map.project(dual)
        return Simplices(dual, prob, prob.clamp(min=LEAST).log())

    def draw(self, pi: Simplices, noise: Tensor) -> AllActions:  # noqa: ARG002
        """Every action with its probability."""
        return AllActions(pi.prob, pi.log_prob)

    def behaviour(self, pi: Simplices, action: Tensor, noise: Tensor) -> AllActions:  # noqa: ARG002
        """Every action, with half the weight on those of the batch (B, A) and half by π."""
        taken = torch.zeros_like(pi.prob).scatter(-1, action.long().unsqueeze(-1), 1.0)
        return AllActions(0.5 * (taken + pi.prob), pi.log_prob)

    def log_prob_of(self, pi: Simplices, draw: AllActions) -> Tensor:  # noqa: ARG002
        """log π_i of every choice, (B, A, n)."""
        return pi.log_prob

    def log_prob_at(self, pi: Simplices, action: Tensor) -> Tensor:
        """log π(a|s) = Σ_i log π_i(a_i|s) of choices (B, A), (B,)."""
        return pi.log_prob.gather(-1, action.long().unsqueeze(-1)).squeeze(-1).sum(-1)

    def widened(self, parameters: Tensor, std: float) -> Tensor:  # noqa: ARG002
        """The first policy is nearly uniform as it is."""
        return parameters

    def expectation(self, draw: AllActions, values: Tensor) -> Tensor:
        """Σ_i E_{a~π_i} of values (B, A, n), (B,)."""
        return (draw.weight * values).sum((-2, -1))

    mean = expectation

    def variance(self, draws: AllActions, values: Tensor) -> Tensor:
        """Var_{a~π} of the sum of values over independent coordinates, (B,)."""
        centred = values - (draws.weight * values).sum(-1, keepdim=True)
        return self.expectation(draws, centred**2)

    def log_mean_exp(self, draws: AllActions, values: Tensor) -> Tensor:
        """Σ_i log E_{a~π_i} exp(values), (B,)."""
        return torch.logsumexp(values + draws.weight.clamp(min=LEAST).log(), -1).sum(-1)

    def tilted_mean(self, draws: AllActions, log_weights: Tensor, values: Tensor) -> Tensor:
        """Σ_i E of values under π_i exp(log_weights), normalised, (B,)."""
        tilted = torch.softmax(draws.weight.clamp(min=LEAST).log() + log_weights, -1)
        return (tilted * values).sum((-2, -1))

    def kl(self, p: Simplices, q: Simplices) -> Tensor:
        """KL(p ‖ q) = Σ_i KL(p_i ‖ q_i), (B,)."""
        return (p.prob * (p.log_prob - q.log_prob)).sum((-2, -1))

    def explore(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """A uniformly random action (A,)."""
        return generator.integers(self.choices, size=self.network.sizes[-1] // self.choices).astype(np.float32)

    def act(
        self, weights: dict[str, NDArray[Any]], observation: NDArray[Any], generator: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """The action (A,) for one observation (S,), drawn by the generator; without one the likeliest."""
        dual = self.network.of_one(weights, observation).reshape(-1, self.choices)
        prob = self.of_dual(torch.from_numpy(dual)).prob.numpy()
        if generator is None:
            return prob.argmax(-1).astype(np.float32)  # type: ignore[no-any-return]
        below = np.cumsum(prob, -1)
        wanted = generator.random(len(prob))[:, None] * below[:, -1:]
        return (below <= wanted).sum(-1).astype(np.float32)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class FiniteCritics:
    """N independent critics Q(s, a) = Σ_i Q_i(s, a_i); a critic's network gives all Q_i(s, ·) at once."""

    network: MLP
    reduction: str
    choices: int

    @classmethod
    def build(
        cls, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool, n: int, reduction: str
    ) -> FiniteCritics:
        """N critic networks for these spaces."""
        outputs = spaces.action * spaces.choices
        network = MLP((spaces.observation, *hidden_sizes, outputs), activation, layer_norm, n)
        return cls(network, reduction, spaces.choices)

    def of_action(self, parameters: Tensor, observation: Tensor, action: Tensor) -> Tensor:
        """All critics' values (N, B) of the actions (B, A) that were taken."""
        values = self._values(parameters, observation)
        return self._taken(values, action.expand(len(values), *action.shape))

    def joint(self, parameters: Tensor, observation: Tensor, action: Tensor) -> Tensor:
        """The critics' joint value (B,) of the actions (B, A)."""
        values = self._values(parameters, observation)
        if self.reduction == "joint-min":
            return self._taken(values, action.expand(len(values), *action.shape)).amin(0)
        return self._taken(self._reduced(values), action)

    def of_draw(self, parameters: Tensor, observation: Tensor, draw: AllActions) -> Tensor:
        """The critics' joint values (B, A, n) of every choice in every coordinate.

        The joint minimum takes a state's values from one critic, that of the least Σ_i E_{a~π_i} Q_i: the least of each
        choice by itself, Σ_i min_j Q_j,i, is below every critic, and the more so the more coordinates there are [D].
        """
        values = self._values(parameters, observation)
        if self.reduction == "joint-min":
            of_policy = (draw.weight * values).sum((-2, -1))  # (N, B)
            chosen = of_policy.argmin(0)[None, :, None, None].expand(1, *values.shape[1:])
            return values.gather(0, chosen).squeeze(0)
        return self._reduced(values)

    def single(self) -> FiniteCritics:
        """One network like one of these critics, for another function of state and action."""
        return replace(self, network=replace(self.network, copies=1), reduction="first")

    def _values(self, parameters: Tensor, observation: Tensor) -> Tensor:
        """(N, B, A, n)."""
        values: Tensor = self.network(parameters, observation)
        values = values.view(*values.shape[:-1], -1, self.choices)
        return values if self.network.copies > 1 else values[None]

    def _reduced(self, values: Tensor) -> Tensor:
        """(B, A, n): the least or the mean of the critics, choice by choice."""
        if self.reduction == "first":
            return values[0]
        return values.amin(0) if self.reduction == "min" else values.mean(0)

    @staticmethod
    def _taken(values: Tensor, action: Tensor) -> Tensor:
        """Σ_i of values (…, A, n) at the choices (…, A)."""
        return values.gather(-1, action.long().unsqueeze(-1)).squeeze(-1).sum(-1)
