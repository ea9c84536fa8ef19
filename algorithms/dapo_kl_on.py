"""DAPO-KL, on-policy: the policy step of DAPO-KL over rollouts, with a state-value critic in place of Q.

Source: Xiong, Fazel, Xiao 2024, "Dual Approximation Policy Optimization", arXiv 2410.01249, for the dual Bregman
divergence, KL(π^θ ‖ π̂) [P]; on rollouts a reconstruction [R]. Advantages may stand for Q, from which they differ by a
constant per state [D]; their estimates are of the environment's reward, without the regulariser [R].
Symbols: π^k the policy that played the rollout, ρ = π^θ(a|s)/π^k(a|s), Â the advantage estimate, τ the temperature,
η the step of mirror descent, β = ητ/(1 + ητ), ℓ_θ = log π^θ(a|s).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from algorithms.core.hyperparameters import OnPolicyHyperparameters, hyperparameter
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Metrics
from algorithms.family import actor_value
from algorithms.family.actor_value import (
    ActorValue,
    State,
    actor_step,
    negative_entropy,
    ratio,
    step_size,
)


class Config(OnPolicyHyperparameters):
    """The hyperparameters of on-policy DAPO-KL."""

    eta: float = hyperparameter(0.5, "step of mirror descent, in units of the advantages as they are used", "η", gt=0)
    anneal_steps: int = hyperparameter(
        0, "environment steps over which η falls linearly towards 0; 0: η is constant", ge=0
    )
    temperature: float = hyperparameter(0.01, "weight of the regulariser, the negative entropy", "τ", ge=0)


init = actor_value.init
critic_step = actor_value.critic_step
refresh = actor_value.refresh


def actor_loss(
    model: ActorValue, actor: Tensor, old_actor: Tensor, batch: Minibatch, noise: Tensor, eta: Tensor, tau: Tensor
) -> tuple[Tensor, Metrics]:
    """J(θ) = E_s[(1/η) KL(π^θ ‖ π^k) + τ E_{a~π^θ} ℓ_θ - E_{a~π^k}[ρ Â]].

    For τ > 0 this is (τ/β) E_s KL(π^θ ‖ π̂) up to a constant, π̂ ∝ (π^k)^(1-β) exp(β Â/τ), the dual Bregman divergence
    of arXiv:2410.01249, by importance sampling from π^k; at τ = 0, π̂ ∝ π^k exp(η Â), it is MDPO's loss [D].
    """
    s, a, advantage, _ = batch
    pi, old = (model.policy.distribution(p, s) for p in (actor, old_actor))
    kl = model.policy.kl(pi, old).mean()
    phi = negative_entropy(model, pi, noise)
    J = kl / eta + tau * phi - (ratio(model, pi, old, a) * advantage).mean()
    return J, {"entropy": -phi, "proximity": kl}


def policy_step(model: ActorValue, state: State, batch: Minibatch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy, π^k held fixed."""
    eta = step_size(model, state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Metrics]:
        J, metrics = actor_loss(model, actor, state.old_actor, batch, noise, eta, c.temperature)
        return J, {"eta": eta, **metrics}

    return actor_step(model, state, c, loss)
