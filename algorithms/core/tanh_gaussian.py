"""Policies: what a network's output means as a distribution over actions.

An algorithm speaks of a policy only through the methods below, so that another kind of action is another class here and
no change in an algorithm. Source of the tanh-Gaussian: Haarnoja et al. 2018, arXiv 1812.05905, Appendix C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.mlp import MLP
from algorithms.core.types import Spaces

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


class Gaussian(NamedTuple):
    """A diagonal Gaussian over pre-tanh actions, per state."""

    mean: Tensor  # (B, A)
    log_std: Tensor  # (B, A)


class Draw(NamedTuple):
    """Actions drawn at each state, with what a loss needs to know of them; K of them: each with a leading axis K."""

    action: Tensor  # (B, A), in [-1, 1]
    log_prob: Tensor  # (B,), in action coordinates
    pre_tanh: Tensor  # (B, A)


@dataclass(frozen=True)
class TanhGaussian:
    """a = tanh(u), u ~ N(μ(s), σ(s)²), with log σ bounded smoothly in [LOG_STD_MIN, LOG_STD_MAX]."""

    network: MLP

    @classmethod
    def build(cls, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool) -> TanhGaussian:
        """A policy network for these spaces."""
        return cls(MLP((spaces.observation, *hidden_sizes, 2 * spaces.action), activation, layer_norm))

    def distribution(self, parameters: Tensor, observation: Tensor) -> Gaussian:
        """π(·|s) for observations (B, S)."""
        mean, raw = self.network(parameters, observation).chunk(2, dim=-1)
        return Gaussian(mean, LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw) + 1))

    def explore(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """A uniformly random action (A,)."""
        return generator.uniform(-1, 1, self.network.sizes[-1] // 2).astype(np.float32)

    def act(
        self, weights: dict[str, NDArray[Any]], observation: NDArray[Any], generator: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """The action (A,) for one observation (S,), drawn by the generator; without one the mean action tanh(μ)."""
        mean, raw = np.split(self.network.of_one(weights, observation), 2)
        if generator is None:
            return np.tanh(mean)  # type: ignore[no-any-return]
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (np.tanh(raw) + 1)
        noise = generator.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean + np.exp(log_std) * noise)  # type: ignore[no-any-return]

    def draw(self, pi: Gaussian, noise: Tensor) -> Draw:
        """Reparameterised actions from standard normal noise (B, A) or (K, B, A)."""
        u = pi.mean + pi.log_std.exp() * noise
        return Draw(torch.tanh(u), self.log_prob(pi, u), u)

    def behaviour(self, pi: Gaussian, action: Tensor, noise: Tensor) -> Draw:
        """The first half of the actions (B, A) as they are, the others drawn from π."""
        half = len(action) // 2
        drawn = self.draw(pi, noise)
        # The tanh has rounded the action of a draw: its own pre-tanh value is the better one.
        u = torch.cat([self.pre_tanh(action[:half]), drawn.pre_tanh[half:]])
        return Draw(torch.cat([action[:half], drawn.action[half:]]), self.log_prob(pi, u), u)

    def log_prob_of(self, pi: Gaussian, draw: Draw) -> Tensor:
        """log π(a|s) of the actions of a draw."""
        return self.log_prob(pi, draw.pre_tanh)

    def log_prob(self, pi: Gaussian, u: Tensor) -> Tensor:
        """log π(tanh u | s), (B,)."""
        return self.log_densities(pi, u).sum(-1)

    def log_prob_at(self, pi: Gaussian, action: Tensor) -> Tensor:
        """log π(a|s) of actions (B, A), (B,)."""
        return self.log_prob(pi, self.pre_tanh(action))

    def widened(self, parameters: Tensor, std: float) -> Tensor:
        """Shifts the last layer's biases so that σ is `std` where its inputs vanish; `std` within the bounds of σ."""
        at = 2 * (math.log(std) - LOG_STD_MIN) / (LOG_STD_MAX - LOG_STD_MIN) - 1
        shift = torch.zeros_like(parameters)
        shift[-(self.network.sizes[-1] // 2) :] = math.atanh(at)
        return parameters + shift

    def log_densities(self, pi: Gaussian, u: Tensor) -> Tensor:
        """log π_i(tanh u_i | s) of each action dimension i, (B, A)."""
        z = (u - pi.mean) * torch.exp(-pi.log_std)
        normal = -0.5 * z * z - pi.log_std - 0.5 * math.log(2 * math.pi)
        log_jacobian = 2 * (math.log(2) - u - F.softplus(-2 * u))  # log(1 - tanh² u) without cancellation
        return normal - log_jacobian

    def pre_tanh(self, action: Tensor) -> Tensor:
        """u with tanh u = a, of actions (B, A) drawn elsewhere; one rounded to ±1 counts as the next number inside."""
        bound = 1 - torch.finfo(action.dtype).eps / 2
        return torch.atanh(action.clamp(-bound, bound))

    def log_overlap(self, p: Gaussian, q: Gaussian) -> Tensor:
        """log ∫ p_i(a) q_i(a) da over a in (-1, 1), (B, A): the densities' inner product in each action dimension.

        ∫ N_1 N_2 cosh²(u) du = N(μ₁ - μ₂; 0, σ₁² + σ₂²) (1 + cosh(2m) e^{2v})/2, with N(m, v) the product's Gaussian.
        """
        p_var, q_var = torch.exp(2 * p.log_std), torch.exp(2 * q.log_std)
        total = p_var + q_var
        m = (p.mean * q_var + q.mean * p_var) / total
        v = p_var * q_var / total
        normal = -0.5 * (p.mean - q.mean) ** 2 / total - 0.5 * torch.log(2 * math.pi * total)
        log_cosh = 2 * m.abs() + F.softplus(-4 * m.abs()) - math.log(2)
        return normal + F.softplus(log_cosh + 2 * v) - math.log(2)

    def expectation(self, draw: Draw, values: Tensor) -> Tensor:  # noqa: ARG002
        """E_{a~π} of values (B,) at the drawn actions: one reparameterised sample each."""
        return values

    def mean(self, draws: Draw, values: Tensor) -> Tensor:  # noqa: ARG002
        """The mean of values (K, B) over the draws, (B,)."""
        return values.mean(0)

    def variance(self, draws: Draw, values: Tensor) -> Tensor:  # noqa: ARG002
        """The sample variance of values (K, B) over the draws, (B,)."""
        return values.var(0)

    def log_mean_exp(self, draws: Draw, values: Tensor) -> Tensor:  # noqa: ARG002
        """log of the mean of exp(values) over the draws, (B,)."""
        return torch.logsumexp(values, 0) - math.log(len(values))

    def tilted_mean(self, draws: Draw, log_weights: Tensor, values: Tensor) -> Tensor:  # noqa: ARG002
        """Σ_i w_i values_i with self-normalised weights w ∝ exp(log_weights), over the draws, (B,)."""
        return (torch.softmax(log_weights, 0) * values).sum(0)

    def kl(self, p: Gaussian, q: Gaussian) -> Tensor:
        """KL(p ‖ q), (B,): of the Gaussians, since both pass through the same tanh."""
        difference = p.log_std - q.log_std
        scaled = (p.mean - q.mean) * torch.exp(-q.log_std)
        return (0.5 * (torch.exp(2 * difference) + scaled * scaled - 1) - difference).sum(-1)
