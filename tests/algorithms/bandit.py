"""A bandit whose optimum the tanh-Gaussian policy contains, in place of the critics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from algorithms.core.critics import Critics
from algorithms.core.tanh_gaussian import Gaussian, TanhGaussian
from algorithms.core.types import Spaces
from algorithms.learner.off_policy import OffPolicyLearner as Learner

SPACES = Spaces(observation=2, action=2)
TAU = 0.1
OPTIMUM = Gaussian(torch.tensor([[0.3, -0.2]]), torch.full((1, 2), 0.5 * np.log(TAU / 2)))


@dataclasses.dataclass(frozen=True)
class Bandit(Critics):
    """Critics that know: Q(s, a) = reward(a), and no parameters."""

    reward: Callable[[Tensor], Tensor]

    def of_action(self, _parameters: Tensor, _observation: Tensor, action: Tensor) -> Tensor:
        return self.reward(action)[None]


def entropy_reward(policy: TanhGaussian) -> Callable[[Tensor], Tensor]:
    """Q = -‖u - u*‖² - τ log|∂a/∂u|, a = tanh u: with entropy of weight τ the optimum is N(u*, τ/2) under tanh."""
    return lambda action: TAU * policy.log_prob(OPTIMUM, policy.pre_tanh(action))


def tsallis_reward(policy: TanhGaussian, q: float) -> Callable[[Tensor], Tensor]:
    """Q = τ Σ_i p_i(a_i)^(q-1)/(q-1): with Σ_i ∫ π_i^q/(q(q-1)) of weight τ the optimum is p, the same tanh-Gaussian.

    q = 2 is the squared norm ½ Σ_i ‖π_i‖².
    """

    def reward(action: Tensor) -> Tensor:
        log_p = policy.log_densities(OPTIMUM, policy.pre_tanh(action))
        return TAU * ((q - 1) * log_p).exp().sum(-1) / (q - 1)

    return reward


def play(learner: Learner, q: float = 1.0) -> Learner:
    """Puts the bandit in the place of the learner's critics and fills its replay with actions about the optimum."""
    policy = learner.model.policy
    reward = entropy_reward(policy) if q == 1 else tsallis_reward(policy, q)
    critic = learner.model.critic
    learner.model = dataclasses.replace(learner.model, critic=Bandit(critic.network, critic.reduction, reward))
    rng = np.random.default_rng(0)
    for _ in range(512):
        learner.replay.add(rng.normal(size=2), np.tanh(rng.normal(0, 0.5, 2)), 0.0, rng.normal(size=2), True)
    return learner


def distance(learner: Learner) -> float:
    """KL(π ‖ π*) in nats, the mean over states like those of training."""
    s = torch.randn(256, 2, generator=torch.Generator().manual_seed(1))
    pi = learner.model.policy.distribution(learner.state.actor, s)
    return float(learner.model.policy.kl(pi, OPTIMUM).mean())
