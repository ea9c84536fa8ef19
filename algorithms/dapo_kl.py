"""DAPO-KL: dual approximation policy optimisation with the negative entropy as mirror map.

Source: Xiong, Fazel, Xiao 2024, "Dual Approximation Policy Optimization", arXiv 2410.01249. The error between the dual
vector of the policy and its mirror-descent target is the Bregman divergence of the conjugate mirror map, which here is
KL(π^θ ‖ π̂) [P]; the form below, in reward units, is our derivation of it for continuous actions [D].
Symbols: π^k the policy frozen for m updates, ℓ_θ = log π^θ(a|s), Q the minimum of the critics, τ the temperature,
η the mirror-descent step, β = ητ/(1 + ητ).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from algorithms.core.adam import Adam
from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.types import Batch, Draw, Metrics
from algorithms.family import actor_critic
from algorithms.family.actor_critic import ActorCritic, actor_step, negative_entropy
from algorithms.family.diagnostics import dual_errors


class Config(Hyperparameters):
    """The hyperparameters of DAPO-KL."""

    beta: float = hyperparameter(
        0.5, "weight of the values against the old policy, ητ/(1 + ητ); 1 is SAC, near 0 stands still", "β", gt=0, le=1
    )
    m: int = hyperparameter(10, "policy updates between refreshes of the old policy; β acts only if m > 1", "m", ge=1)


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


critic_step = actor_critic.critic_step
regulariser = negative_entropy
noise_samples = actor_critic.noise_samples
schedule = actor_critic.schedule
refresh = actor_critic.refresh


def actor_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Draw]:
    """J(θ) = E_s[(1/η) KL(π^θ ‖ π^k) + E_{a~π^θ}[τ ℓ_θ - Q(s, a)]], 1/η = τ (1 - β)/β.

    Up to the factor β/τ this is E_s KL(π^θ ‖ π̂) with π̂ ∝ (π^k)^(1-β) exp(β Q/τ), the dual Bregman divergence of
    arXiv:2410.01249. The KL of two tanh-Gaussians is in closed form, so the old policy adds no sampling noise.
    """
    pi = model.policy.distribution(actor, s)
    draw = model.policy.draw(pi, noise)
    q = model.critic.of_draw(critic, s, draw)
    J = model.policy.expectation(draw, tau * draw.log_prob - q).mean()
    if model.config.beta < 1:  # at β = 1 the old policy has no weight, and 0 · ∞ must not become NaN
        kl_old = model.policy.kl(pi, model.policy.distribution(old_actor, s)).mean()
        J = J + tau * (1 - beta) / beta * kl_old
    return J, draw


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    tau = model.temperature(state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Draw]:
        return actor_loss(model, actor, state.old_actor, state.critic, tau, c.beta, batch.observation, noise[1])

    new, metrics = actor_step(model, state, c, loss)
    return new, {"eta": c.beta / (tau * (1 - c.beta)), **metrics}


PHASES = {"policy": policy_step}


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ (π^k)^(1-β) exp(β Q/τ)."""
    return dual_errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
