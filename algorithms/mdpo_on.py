"""MDPO, on-policy: mirror descent policy optimisation over rollouts, with a step size that is annealed.

Source: Tomar et al. 2020, "Mirror Descent Policy Optimization", arXiv 2005.09814, Section 4.1.
Symbols: π^k the policy that played the rollout, ρ = π^θ(a|s)/π^k(a|s), Â the advantage estimate, η the step of mirror
descent (the paper's t_k).
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
    """The hyperparameters of on-policy MDPO."""

    eta: float = hyperparameter(0.5, "step of mirror descent, in units of the advantages as they are used", "η", gt=0)
    anneal_steps: int = hyperparameter(
        1_000_000, "environment steps over which η falls linearly towards 0, as in the paper; 0: η is constant", ge=0
    )


init = actor_value.init
critic_step = actor_value.critic_step
refresh = actor_value.refresh


def actor_loss(
    model: ActorValue, actor: Tensor, old_actor: Tensor, batch: Minibatch, noise: Tensor, eta: Tensor
) -> tuple[Tensor, Metrics]:
    """J(θ) = (1/η) E_s KL(π^θ ‖ π^k) - E_{a~π^k}[ρ Â]. Minus Eq. 8 of arXiv:2005.09814, the KL in closed form."""
    s, a, advantage, _ = batch
    pi, old = (model.policy.distribution(p, s) for p in (actor, old_actor))
    kl = model.policy.kl(pi, old).mean()
    J = kl / eta - (ratio(model, pi, old, a) * advantage).mean()
    phi = negative_entropy(model, pi, noise)
    return J, {"entropy": -phi, "proximity": kl}


def policy_step(model: ActorValue, state: State, batch: Minibatch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy, π^k held fixed."""
    eta = step_size(model, state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Metrics]:
        J, metrics = actor_loss(model, actor, state.old_actor, batch, noise, eta)
        return J, {"eta": eta, **metrics}

    return actor_step(model, state, c, loss)
