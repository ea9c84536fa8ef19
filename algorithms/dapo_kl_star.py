"""DAPO-KL*: DAPO-KL with the arguments of the dual Bregman divergence exchanged, D_Φ*(f_θ, y) = KL(π̂ ‖ π^θ).

Source: our reading [R] of the variant of Xiong, Fazel, Xiao 2024, arXiv 2410.01249. π̂ ∝ (π^k)^(1-β) exp(β Q/τ) is
known up to its normaliser, so KL(π̂ ‖ π^θ) is the cross entropy of actions of π^k with self-normalised weights; for
finite actions it is exact.
Symbols: π^k the policy frozen for m updates, ℓ_θ = log π^θ(a|s), Q the minimum of the critics, τ the temperature,
η the mirror-descent step, β = ητ/(1 + ητ).
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import adam_step
from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.types import Batch, Metrics
from algorithms.family import actor_critic, proximal
from algorithms.family.actor_critic import ActorCritic, negative_entropy, temperature_step
from algorithms.family.diagnostics import dual_errors
from algorithms.family.proximal import State


class Config(Hyperparameters):
    """The hyperparameters of DAPO-KL*."""

    beta: float = hyperparameter(
        0.5, "weight of the values against the old policy, ητ/(1 + ητ); near 0 stands still", "β", gt=0, le=1
    )
    m: int = hyperparameter(10, "policy updates between refreshes of the old policy", "m", ge=1)
    samples: int = hyperparameter(16, "actions of π^k per state, for continuous actions", "N", ge=2)
    temperature_follows: Literal["target", "policy"] = hyperparameter(
        "target",
        "whose entropy an automatic temperature keeps: that of its target, π̂, and the loss is then without the "
        "factor τ/β; or the policy's",
    )


init = proximal.init
critic_step = actor_critic.critic_step
regulariser = negative_entropy
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
) -> tuple[Tensor, Tensor]:
    """-E_s Σ_i w_i ℓ_θ(a_i|s), a_i ~ π^k, w_i ∝ exp(β (Q_i/τ - ℓ_k,i)): KL(π̂ ‖ π^θ) up to a constant; and Φ(π̂).

    noise (N, B, A). The gradient for a finite policy's dual vector is π^θ - π̂: where π̂ changes with the critics π^θ
    tends to E[π̂], whose negative entropy Φ(π^θ) <= E Φ(π̂) stays below its target however small τ is. So an automatic τ
    follows Φ(π̂) = E_π̂ log π̂ [D]. If it follows the policy the loss has the factor τ/β, which is reward units.
    """
    policy = model.policy
    draws = policy.draw(policy.distribution(old_actor, s), noise)
    log_weights = beta * (model.critic.of_draw(critic, s, draws) / tau - draws.log_prob)
    ell = policy.log_prob_of(policy.distribution(actor, s), draws)
    loss = -policy.tilted_mean(draws, log_weights, ell).mean()
    if model.config.temperature_follows == "policy":
        loss = tau / beta * loss
    log_Z = policy.log_mean_exp(draws, log_weights)
    return loss, (policy.tilted_mean(draws, log_weights, draws.log_prob + log_weights) - log_Z).mean()


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the policy and on an automatic temperature, π^k held fixed."""
    tau, s = model.temperature(state, c), batch.observation

    def loss(actor: Tensor) -> tuple[Tensor, Tensor]:
        return actor_loss(model, actor, state.old_actor, state.critic, tau, c.beta, s, noise[1:-1])

    gradient, (value, phi) = grad_and_value(loss, has_aux=True)(state.actor)
    actor, adam = adam_step(state.actor, gradient, state.actor_adam, c.learning_rate)
    draw = model.policy.draw(model.policy.distribution(state.actor, s), noise[-1])
    entropy = -model.policy.expectation(draw, draw.log_prob).mean()
    new = state._replace(actor=actor, actor_adam=adam)
    followed = phi if model.config.temperature_follows == "target" else -entropy
    new, metrics = temperature_step(model, new, followed, -c.target_entropy, c)
    return new, {"actor_loss": value, "entropy": entropy, "eta": c.beta / (tau * (1 - c.beta)), **metrics}


PHASES = {"policy": policy_step}


def noise_samples(config: Config) -> int:
    """One sample at s' for the critics, N at s of π^k, one at s for the policy."""
    return 2 + config.samples


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ (π^k)^(1-β) exp(β Q/τ)."""
    return dual_errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
