"""DAPO-L2, on-policy: the policy step of DAPO-L2 over rollouts, with a state-value critic in place of Q.

Source: Xiong, Fazel, Xiao 2024, "Dual Approximation Policy Optimization", arXiv 2410.01249, for the mirror map ½ ‖p‖²
[P]; on rollouts, and its sum over the action's dimensions, a reconstruction [R]. Inner products of continuous policies
are in closed form, as in dapo_l2.py; finite ones are Euclidean projections of the network's output.
Symbols: π^k the policy that played the rollout, ρ = π^θ(a|s)/π^k(a|s), Â the advantage estimate, τ the temperature,
η the step of mirror descent.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from algorithms.core.hyperparameters import OnPolicyHyperparameters, hyperparameter
from algorithms.core.mirror_maps import MirrorMap, SquaredL2
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Distribution, Metrics
from algorithms.dapo_l2 import inner
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
    """The hyperparameters of on-policy DAPO-L2."""

    eta: float = hyperparameter(0.5, "step of mirror descent, in units of the advantages as they are used", "η", gt=0)
    anneal_steps: int = hyperparameter(
        0, "environment steps over which η falls linearly towards 0; 0: η is constant", ge=0
    )
    temperature: float = hyperparameter(0.01, "weight of the regulariser, half the squared norm", "τ", ge=0)
    initial_std: float = hyperparameter(
        0.3,
        "standard deviation of the first policy's continuous actions, before tanh; a wide one piles up at the bounds, "
        "where its norm explodes",
        "σ₀",
        ge=0.01,
        le=7,
    )

    def mirror_map(self) -> MirrorMap:
        """Φ(p) = ½ Σ p²."""
        return SquaredL2()


init = actor_value.init
critic_step = actor_value.critic_step
refresh = actor_value.refresh


def product(model: ActorValue, p: Distribution, q: Distribution) -> Tensor:
    """Σ_i ⟨p_i, q_i⟩ over the coordinates of the action, (B,)."""
    return (p.prob * q.prob).sum((-2, -1)) if model.spaces.choices else inner(model.policy, p, q)


def actor_loss(
    model: ActorValue, actor: Tensor, old_actor: Tensor, batch: Minibatch, noise: Tensor, eta: Tensor, tau: Tensor
) -> tuple[Tensor, Metrics]:
    """J(θ) = E_s[(1/η) ½ Σ_i ‖π^θ_i - π^k_i‖² + τ ½ Σ_i ‖π^θ_i‖² - E_{a~π^k}[ρ Â]] [R].

    Up to a constant the dual Bregman divergence D_Φ*(y, f_θ) of arXiv:2410.01249, by importance sampling from π^k.
    """
    s, a, advantage, _ = batch
    pi, old = (model.policy.distribution(p, s) for p in (actor, old_actor))
    phi = 0.5 * product(model, pi, pi).mean()
    l2_old = phi + (0.5 * product(model, old, old) - product(model, pi, old)).mean()
    J = l2_old / eta + tau * phi - (ratio(model, pi, old, a) * advantage).mean()
    entropy = -negative_entropy(model, pi, noise)
    return J, {"entropy": entropy, "phi": phi, "proximity": l2_old}


def policy_step(model: ActorValue, state: State, batch: Minibatch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy, π^k held fixed."""
    eta = step_size(model, state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Metrics]:
        J, metrics = actor_loss(model, actor, state.old_actor, batch, noise, eta, c.temperature)
        return J, {"eta": eta, **metrics}

    return actor_step(model, state, c, loss)
