"""MDPO: mirror descent policy optimisation, off-policy, with the Kullback-Leibler divergence as proximity.

Source: Tomar et al. 2020, "Mirror Descent Policy Optimization", arXiv 2005.09814, and the authors' public code [C].
With λ = τ and proximity coefficient c = τ/β the loss is DAPO-KL's up to scale [D]. Symbols as in dapo_kl.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import Adam, adam_init, adam_step
from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.mlp import MLP
from algorithms.core.types import Batch, Draw, Metrics, Spaces
from algorithms.family import actor_critic
from algorithms.family.actor_critic import ActorCritic, actor_step, negative_entropy
from algorithms.family.diagnostics import dual_errors


class Config(Hyperparameters):
    beta: float = hyperparameter(
        0.2, "entropy weight over proximity coefficient, λ/c; the authors' λ = 0.2, c = 1", "β", gt=0, le=1
    )
    m: int = hyperparameter(1000, "policy updates between refreshes of the old policy; β acts only if m > 1", "m", ge=1)
    faithful: bool = hyperparameter(
        False, "as the authors' code: a state-value network, Q₁ alone for the policy, 1e-3 (μ² + log² σ)"
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        if self.faithful and spaces.choices:
            raise ValueError(
                "faithful = true is the authors' code for continuous actions: leave it out for finite ones"
            )
        return super().resolved(spaces)


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    old_actor: Tensor  # π^k
    critic: Tensor
    critic_adam: Adam
    target_critic: Tensor  # if faithful, V's target
    critic_value: Tensor  # V, a state-value network; empty unless faithful
    critic_value_adam: Adam
    log_temperature: Tensor
    temperature_adam: Adam


def _value_network(model: ActorCritic) -> MLP:
    return dataclasses.replace(model.critic.network, copies=1, sizes=(*model.policy.network.sizes[:-1], 1))


def _policy_critic(model: ActorCritic) -> Any:
    return dataclasses.replace(model.critic, reduction="first") if model.config.faithful else model.critic


def init(model: ActorCritic, generator: torch.Generator) -> State:
    """Fresh networks; the old policy is the first one."""
    core = model.init(generator)
    value = _value_network(model).init(generator) if model.config.faithful else torch.empty(0)
    core |= {"target_critic": value.clone()} if model.config.faithful else {}
    return State(**core, old_actor=core["actor"].clone(), critic_value=value, critic_value_adam=adam_init(value))


regulariser = negative_entropy
noise_samples = actor_critic.noise_samples
schedule = actor_critic.schedule
refresh = actor_critic.refresh


def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step on the critics; if faithful, on Q and V of the first soft actor-critic (arXiv 1801.01290) [C]."""
    if not model.config.faithful:
        return actor_critic.critic_step(model, state, batch, noise, c)
    s, a, r, s2, bootstrap = batch
    V = _value_network(model)
    y_q = r + c.gamma * bootstrap * V(state.target_critic, s2).squeeze(-1)  # (B,)
    draw = model.policy.draw(model.policy.distribution(state.actor, s), noise[0])
    soft_q = model.critic.of_draw(state.critic, s, draw) - model.temperature(state, c) * draw.log_prob
    y_v = model.policy.expectation(draw, soft_q)  # (B,)

    def critic_loss(critic: Tensor) -> tuple[Tensor, Tensor]:
        q = model.critic.of_action(critic, s, a)  # (N, B)
        return 0.5 * ((q - y_q) ** 2).mean(-1).sum(), q.mean()

    def value_loss(value: Tensor) -> Tensor:
        return 0.5 * ((V(value, s).squeeze(-1) - y_v) ** 2).mean()

    gradient, (q_loss, q_mean) = grad_and_value(critic_loss, has_aux=True)(state.critic)
    critic, critic_adam = adam_step(state.critic, gradient, state.critic_adam, c.critic_learning_rate)
    gradient, v_loss = grad_and_value(value_loss)(state.critic_value)
    value, value_adam = adam_step(state.critic_value, gradient, state.critic_value_adam, c.critic_learning_rate)
    target = torch.lerp(state.target_critic, value, c.polyak)
    new = state._replace(critic=critic, critic_adam=critic_adam, critic_value=value, critic_value_adam=value_adam)
    return new._replace(target_critic=target), {"critic_loss": q_loss, "value_loss": v_loss, "q": q_mean}


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
    """J(θ) = E_s E_{a~π^θ}[c ℓ_θ - (c - λ) ℓ_k - Q], λ = τ, c = τ/β, as the authors' code [C]."""
    pi = model.policy.distribution(actor, s)
    draw = model.policy.draw(pi, noise)
    ell_k = model.policy.log_prob_of(model.policy.distribution(old_actor, s), draw)
    q = _policy_critic(model).of_draw(critic, s, draw)
    J = model.policy.expectation(draw, tau / beta * draw.log_prob - (tau / beta - tau) * ell_k - q).mean()
    if model.config.faithful:
        J = J + 1e-3 * sum((output**2).mean() for output in pi)
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
    own = dataclasses.replace(model, critic=_policy_critic(model))
    return dual_errors(own, state, old_actor, s, noise, model.temperature(state, c), c.beta)
