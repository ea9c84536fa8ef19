"""DAPO-L2: dual approximation policy optimisation with the squared Euclidean norm as mirror map.

Source: Xiong, Fazel, Xiao 2024, "Dual Approximation Policy Optimization", arXiv 2410.01249, for the mirror map [P]. For
continuous actions the norm is summed over the action's dimensions, Φ(π) = ½ Σ_i ∫ π_i(a)² da, which is mirror descent
on a product of simplices [R]; the integrals of tanh-Gaussian densities below are in closed form [D].
Symbols: π^k the policy frozen for m updates, ℓ_θ = log π^θ(a|s), Q the minimum of the critics, τ the temperature,
η the mirror-descent step, β = ητ/(1 + ητ).
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms import _actor_critic
from algorithms._actor_critic import ActorCritic, negative_entropy, temperature_step
from algorithms._diagnostics import l2_errors
from algorithms._hyperparameters import Hyperparameters, hyperparameter
from algorithms._optim import Adam, adam_step
from algorithms._policies import Draw, Gaussian, TanhGaussian
from algorithms._types import Batch, Metrics

LARGEST_LOG = 10.0  # of an inner product of two densities: beyond, the exponential goes on along its tangent


class Config(Hyperparameters):
    """The hyperparameters of DAPO-L2."""

    beta: float = hyperparameter(
        0.5, "weight of the values against the old policy, ητ/(1 + ητ); 1 leaves the proximity out", "β", gt=0, le=1
    )
    m: int = hyperparameter(1, "policy updates between refreshes of the old policy; β acts only if m > 1", "m", ge=1)
    phi: Literal["l2", "entropy"] = hyperparameter(
        "l2", "regulariser; entropy: negative entropy, the squared norm then only measures the proximity", "Φ"
    )


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    old_actor: Tensor  # π^k
    critic: Tensor
    critic_adam: Adam
    target_critic: Tensor
    log_temperature: Tensor
    temperature_adam: Adam


def init(model: ActorCritic, generator: torch.Generator) -> State:
    """Fresh networks; the old policy is the first one."""
    core = model.init(generator)
    return State(**core, old_actor=core["actor"].clone())


def inner(policy: TanhGaussian, p: Gaussian, q: Gaussian) -> Tensor:
    """Σ_i ⟨p_i, q_i⟩, (B,). Finite, with a gradient that still pushes back, however narrow the densities become."""
    log_inner = policy.log_overlap(p, q)
    beyond = (log_inner - LARGEST_LOG).clamp(min=0)
    return (torch.exp(log_inner.clamp(max=LARGEST_LOG)) + math.exp(LARGEST_LOG) * beyond).sum(-1)


def regulariser(model: ActorCritic, pi: Gaussian, draw: Draw) -> Tensor:
    """Φ(π_s), (B,): the closed form, since a sample of π(a|s) has heavy tails; or the negative entropy."""
    return negative_entropy(model, pi, draw) if model.config.phi == "entropy" else 0.5 * inner(model.policy, pi, pi)


def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the critics, whose targets hold -τ Φ(π_{s'})."""
    return _actor_critic.critic_step(model, state, batch, noise, c, regulariser)


class ActorLoss(NamedTuple):
    """What the loss computed on its way."""

    draw: Draw
    phi: Tensor  # 0-dim, mean Φ(π^θ)
    l2_old: Tensor  # 0-dim, mean ½ Σ_i ‖π^θ_i - π^k_i‖²


def actor_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Tensor, ActorLoss]:
    """J(θ) = E_s[(1/η) ½ Σ_i ‖π^θ_i - π^k_i‖² + τ Φ(π^θ) - E_{a~π^θ} Q(s, a)], 1/η = τ (1 - β)/β [D]."""
    policy = model.policy
    pi, old = policy.distribution(actor, s), policy.distribution(old_actor, s)
    draw = policy.draw(pi, noise)
    q = policy.expectation(draw, model.critic.of_draw(critic, s, draw))
    phi = regulariser(model, pi, draw).mean()
    l2_old = 0.5 * (inner(policy, pi, pi) - 2 * inner(policy, pi, old) + inner(policy, old, old)).mean()
    J = tau * (1 - beta) / beta * l2_old + tau * phi - q.mean()
    return J, ActorLoss(draw, phi, l2_old)


def phi_target(model: ActorCritic, c: Any) -> Tensor:
    """Φ̄, which an automatic temperature keeps: (d/2) e^{-H̄/d} of d uniform densities of entropy H̄/d each [R]."""
    d = model.spaces.action
    return -c.target_entropy if model.config.phi == "entropy" else 0.5 * d * torch.exp(-c.target_entropy / d)


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    tau = model.temperature(state, c)

    def loss(actor: Tensor) -> tuple[Tensor, ActorLoss]:
        return actor_loss(model, actor, state.old_actor, state.critic, tau, c.beta, batch.observation, noise[1])

    gradient, (value, parts) = grad_and_value(loss, has_aux=True)(state.actor)
    actor, adam = adam_step(state.actor, gradient, state.actor_adam, c.learning_rate)
    entropy = -model.policy.expectation(parts.draw, parts.draw.log_prob).mean()
    new = state._replace(actor=actor, actor_adam=adam)
    new, metrics = temperature_step(model, new, parts.phi, phi_target(model, c), c)
    eta = c.beta / (tau * (1 - c.beta))
    own = {"phi": parts.phi, "l2_old": parts.l2_old, "eta": eta}
    return new, {"actor_loss": value, "entropy": entropy, **own, **metrics}


PHASES = {"policy": policy_step}


def noise_samples(config: Config) -> int:  # noqa: ARG001
    """One sample at s' for the critics, one at s for the policy."""
    return 2


def schedule(config: Config) -> tuple[tuple[str, int], ...]:
    """A policy iteration is m gradient steps."""
    return (("policy", config.m),)


def refresh(state: State) -> State:
    """π^{k+1} becomes the old policy."""
    return state._replace(old_actor=state.actor)


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far each dimension's π^θ_i is from π̂_i = [(1-β) π^k_i + β Q_i/τ - λ]₊, Q_i the mean over the others.

    With the entropy as regulariser π̂ has no such form, and the distance is to the old policy only.
    """
    if model.config.phi == "entropy":
        return {"kl_old": model.policy.kl(*(model.policy.distribution(p, s) for p in (state.actor, old_actor))).mean()}
    return l2_errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
