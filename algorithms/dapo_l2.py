"""DAPO-L2: dual approximation policy optimisation with the squared Euclidean norm as mirror map.

Source: Xiong, Fazel, Xiao 2024, "Dual Approximation Policy Optimization", arXiv 2410.01249, for the mirror map [P]. For
continuous actions the norm is summed over the action's dimensions, Φ(π) = ½ Σ_i ∫ π_i(a)² da, which is mirror descent
on a product of simplices [R]; the integrals of tanh-Gaussian densities below are in closed form [D]. For finite actions
the policy is the Euclidean projection of the network's output, and everything is exact.
Symbols: π^k the policy frozen for m updates, Q the minimum of the critics, τ the temperature, η the mirror-descent
step, β = ητ/(1 + ητ).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.mirror_maps import MirrorMap, SquaredL2
from algorithms.core.types import Batch, Distribution, Draw, Metrics, Spaces
from algorithms.family import actor_critic, proximal
from algorithms.family.actor_critic import ActorCritic, negative_entropy
from algorithms.family.diagnostics import l2_errors
from algorithms.family.proximal import Parts, ProximalConfig, State

LARGEST_LOG = 10.0  # of an inner product of two densities: beyond, the exponential goes on along its tangent


class Config(ProximalConfig):
    """The hyperparameters of DAPO-L2."""

    phi: Literal["l2", "entropy"] = hyperparameter(
        "l2", "regulariser; entropy: negative entropy, the squared norm then only measures the proximity", "Φ"
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """Raises ValueError for what has no dual vector to fit."""
        if self.phi == "entropy" and spaces.choices:
            raise ValueError("phi = entropy is for continuous actions: leave it out for finite ones")
        return super().resolved(spaces)

    def mirror_map(self) -> MirrorMap:
        """Φ(p) = ½ Σ p²."""
        return SquaredL2()


init = proximal.init
noise_samples = actor_critic.noise_samples
schedule = actor_critic.schedule
refresh = actor_critic.refresh


def inner(policy: Any, p: Distribution, q: Distribution) -> Tensor:
    """Σ_i ⟨p_i, q_i⟩, (B,). Finite, with a gradient that still pushes back, however narrow the densities become."""
    log_inner = policy.log_overlap(p, q)
    beyond = (log_inner - LARGEST_LOG).clamp(min=0)
    total: Tensor = (torch.exp(log_inner.clamp(max=LARGEST_LOG)) + math.exp(LARGEST_LOG) * beyond).sum(-1)
    return total


def regulariser(model: ActorCritic, pi: Distribution, draw: Draw) -> Tensor:
    """Φ(π_s), (B,): in closed form, since a sample of π(a|s) has heavy tails; or the negative entropy."""
    if model.config.phi == "entropy":
        return negative_entropy(model, pi, draw)
    return 0.5 * (pi.prob**2).sum((-2, -1)) if model.spaces.choices else 0.5 * inner(model.policy, pi, pi)


def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the critics, whose targets hold -τ Φ(π_{s'})."""
    return actor_critic.critic_step(model, state, batch, noise, c, regulariser)


def actor_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Parts]:
    """J(θ) = E_s[(1/η) ½ Σ_i ‖π^θ_i - π^k_i‖² + τ Φ(π^θ) - E_{a~π^θ} Q(s, a)], 1/η = τ (1 - β)/β [D].

    For finite actions the dual Bregman divergence in the orientation asked for, which is J up to a constant for yf.
    """
    if model.spaces.choices:
        return proximal.finite_loss(model, actor, old_actor, critic, tau, beta, s, noise)
    policy = model.policy
    pi, old = policy.distribution(actor, s), policy.distribution(old_actor, s)
    draw = policy.draw(pi, noise)
    q = policy.expectation(draw, model.critic.of_draw(critic, s, draw))
    phi = regulariser(model, pi, draw).mean()
    l2_old = 0.5 * (inner(policy, pi, pi) - 2 * inner(policy, pi, old) + inner(policy, old, old)).mean()
    J = tau * (1 - beta) / beta * l2_old + tau * phi - q.mean()
    return J, Parts(draw, phi, l2_old, phi)


def phi_target(model: ActorCritic, c: Any) -> Tensor:
    """Φ̄, which an automatic temperature keeps: (d/2) e^{-H̄/d} of d uniform distributions of entropy H̄/d each [R]."""
    d = model.spaces.action
    return -c.target_entropy if model.config.phi == "entropy" else 0.5 * d * torch.exp(-c.target_entropy / d)


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    return proximal.policy_step(model, state, batch, noise, c, actor_loss, phi_target(model, c))


PHASES = {"policy": policy_step}


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far each dimension's π^θ_i is from π̂_i = [(1-β) π^k_i + β Q_i/τ - λ]₊, Q_i the mean over the others.

    With the entropy as regulariser π̂ has no such form, and the distance is to the old policy only.
    """
    if model.config.phi == "entropy":
        return {"kl_old": model.policy.kl(*(model.policy.distribution(p, s) for p in (state.actor, old_actor))).mean()}
    errors = proximal.finite_errors if model.spaces.choices else l2_errors
    return errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
