"""SAC: soft actor-critic, the maximum-entropy baseline; equal to DAPO-KL with β = 1.

Source: Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905.
Symbols: π^θ the policy, ℓ_θ = log π^θ(a|s), Q the minimum of the critics, τ the temperature (the paper's α).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from algorithms.core.adam import Adam
from algorithms.core.hyperparameters import Hyperparameters
from algorithms.core.types import Batch, Draw, Metrics
from algorithms.family import actor_critic
from algorithms.family.actor_critic import ActorCritic, actor_step, negative_entropy
from algorithms.family.diagnostics import dual_errors


class Config(Hyperparameters):
    """SAC has no hyperparameters beyond those of every actor-critic."""


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    critic: Tensor
    critic_adam: Adam
    target_critic: Tensor
    log_temperature: Tensor
    temperature_adam: Adam


def init(model: ActorCritic, generator: torch.Generator) -> State:
    """Fresh networks."""
    return State(**model.init(generator))


critic_step = actor_critic.critic_step
regulariser = negative_entropy
noise_samples = actor_critic.noise_samples


def actor_loss(
    model: ActorCritic, actor: Tensor, critic: Tensor, tau: Tensor, s: Tensor, noise: Tensor
) -> tuple[Tensor, Draw]:
    """J(θ) = E_s E_{a~π^θ}[τ ℓ_θ - Q(s, a)]. Eq. 9 of arXiv:1812.05905."""
    draw = model.policy.draw(model.policy.distribution(actor, s), noise)
    q = model.critic.of_draw(critic, s, draw)
    return model.policy.expectation(draw, tau * draw.log_prob - q).mean(), draw


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature."""
    tau = model.temperature(state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Draw]:
        return actor_loss(model, actor, state.critic, tau, batch.observation, noise[1])

    return actor_step(model, state, c, loss)


PHASES = {"policy": policy_step}


def schedule(config: Config) -> tuple[tuple[str, int], ...]:  # noqa: ARG001
    """Every update is alike."""
    return (("policy", 1),)


def refresh(state: State) -> State:
    """Nothing is frozen."""
    return state


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ exp(Q/τ)."""
    return dual_errors(model, state, old_actor, s, noise, model.temperature(state, c), torch.ones_like(c.gamma))
