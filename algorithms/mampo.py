"""MAMPO: modified AMPO, whose old dual vector is that of the actual policy, so that primal and dual agree.

The DAPO paper (arXiv 2410.01249) names it; the public material does not define it. Both readings are ours [R]:
`policy` has no dual network, the policy's log-density is the dual vector, and the squared error is taken modulo the
constant per state that no policy sees; `network` is AMPO with τ log π^k(a|s) in place of the frozen dual network.
Symbols: π^k the policy frozen for an iteration, ℓ_θ = log π^θ(a|s), Q the minimum of the critics, τ the temperature.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from algorithms.core.hyperparameters import hyperparameter
from algorithms.core.types import Batch, Draw, Metrics
from algorithms.family import actor_critic, dual_network
from algorithms.family.actor_critic import ActorCritic, negative_entropy
from algorithms.family.diagnostics import dual_errors
from algorithms.family.dual_network import (
    DualNetworkConfig,
    State,
    density_error,
    dual_network_errors,
    projection_step,
    without_network,
)


class Config(DualNetworkConfig):
    """The hyperparameters of MAMPO."""

    reading: Literal["policy", "network"] = hyperparameter(
        "policy", "policy: no dual network; network: AMPO with the old policy's own dual vector, which is fragile"
    )
    fitted_at: Literal["auto", "mixed", "policy"] = hyperparameter(
        "policy",
        "for reading = network: of π^k only; mixed: half of the replay, where log π^k has no lower bound; auto: as "
        "for AMPO",
    )
    samples: int = hyperparameter(4, "actions of π^k per state, for reading = policy", "N", ge=2)


init = dual_network.init
refresh = dual_network.refresh
critic_step = actor_critic.critic_step
regulariser = negative_entropy


def dual_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the least-squares fit to (1-β) τ ℓ_k + β Q."""
    tau = model.temperature(state, c)

    def old_dual(s: Tensor, draw: Draw) -> Tensor:
        return tau * model.policy.log_prob_of(model.policy.distribution(state.old_actor, s), draw)

    return dual_network.dual_step(model, state, batch, noise, c, old_dual)


def both_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the fit, then one of the projection."""
    state, metrics = dual_step(model, state, batch, noise, c)
    state, more = projection_step(model, state, batch, noise, c)
    return state, metrics | more


def policy_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> Tensor:
    """½ E_s Var_{a~π^k}[τ ℓ_θ - (1-β) τ ℓ_k - β Q], the variance over N actions per state; noise (N, B, A).

    In reward units; zero if and only if π^θ = π̂ ∝ (π^k)^(1-β) exp(β Q/τ) on the actions, whatever is added to Q per s.
    """
    draws, x = density_error(model, actor, old_actor, critic, tau, beta, s, noise)
    return 0.5 * model.policy.variance(draws, x).mean()


def policy_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step of the reading without a dual network, and one on an automatic temperature."""
    return without_network(model, state, batch, noise, c, policy_loss)


PHASES = {"dual": dual_step, "projection": projection_step, "both": both_step, "policy": policy_step}


def noise_samples(config: Config) -> int:
    """One sample at s' for the critics, one or `samples` at s for π^k, one at s for the policy."""
    return 2 + (config.samples if config.reading == "policy" else 1)


def schedule(config: Config) -> tuple[tuple[str, int], ...]:
    """As AMPO's; without a dual network, m steps on the policy."""
    return (("policy", config.m),) if config.reading == "policy" else dual_network.schedule(config)


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ (π^k)^(1-β) exp(β Q/τ), and the network from that exponent."""
    tau = model.temperature(state, c)
    if model.config.reading == "policy":
        return dual_errors(model, state, old_actor, s, noise, tau, c.beta)

    def old_dual(s: Tensor, draws: Draw) -> Tensor:
        return tau * model.policy.log_prob_of(model.policy.distribution(old_actor, s), draws)

    return dual_network_errors(model, state, old_actor, s, noise, c, old_dual)
