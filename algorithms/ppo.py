"""PPO: proximal policy optimisation with a clipped ratio, the on-policy baseline.

Source: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv 1707.06347.
Symbols: π^k the policy that played the rollout, ρ = π^θ(a|s)/π^k(a|s), Â the advantage estimate, ε the clip range,
τ the weight of the entropy (the paper's c₂).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from algorithms.core.hyperparameters import OnPolicyHyperparameters, hyperparameter
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Metrics
from algorithms.family import actor_value
from algorithms.family.actor_value import ActorValue, State, actor_step, negative_entropy, ratio


class Config(OnPolicyHyperparameters):
    """The hyperparameters of PPO."""

    clip: float = hyperparameter(0.2, "change of a ratio beyond which an advantage has no more gradient", "ε", gt=0)
    temperature: float = hyperparameter(0.0, "weight of the entropy in the policy's loss", "τ", ge=0)


init = actor_value.init
critic_step = actor_value.critic_step
refresh = actor_value.refresh


def actor_loss(
    model: ActorValue, actor: Tensor, old_actor: Tensor, batch: Minibatch, noise: Tensor, c: Any
) -> tuple[Tensor, Metrics]:
    """J(θ) = -E_{a~π^k}[min(ρ Â, clip(ρ, 1 - ε, 1 + ε) Â)] + τ E ℓ_θ. Eq. 7 and 9 of arXiv:1707.06347."""
    s, a, advantage, _ = batch
    pi, old = (model.policy.distribution(p, s) for p in (actor, old_actor))
    rho = ratio(model, pi, old, a)
    bounded = torch.clamp(rho, 1 - c.clip, 1 + c.clip)
    phi = negative_entropy(model, pi, noise)
    J = -torch.minimum(rho * advantage, bounded * advantage).mean() + c.temperature * phi
    return J, {"entropy": -phi, "clipped": (rho != bounded).float().mean()}


def policy_step(model: ActorValue, state: State, batch: Minibatch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy, π^k held fixed."""

    def loss(actor: Tensor) -> tuple[Tensor, Metrics]:
        return actor_loss(model, actor, state.old_actor, batch, noise, c)

    return actor_step(model, state, c, loss)
