"""AMPO: approximate mirror policy optimisation, a dual network fitted by least squares and then projected.

Source: Alfano, Yuan, Rebeschini 2023, "A Novel Framework for Policy Mirror Descent with General Parameterization and
Linear Convergence", arXiv 2301.13139; for continuous actions our reconstruction [R]. The fit measures its error by
plain squares and the projection by KL: two geometries, where DAPO has one [P].
Symbols: π^k, g_{ω^k} the policy and the dual network frozen for an iteration, ℓ_θ = log π^θ(a|s), Q the minimum of the
critics, τ the temperature, g = τ f the dual vector in reward units.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.types import Batch, Distribution, Draw, Metrics, Spaces
from algorithms.family import actor_critic, dual_network
from algorithms.family.actor_critic import ActorCritic, negative_entropy
from algorithms.family.diagnostics import dual_errors
from algorithms.family.dual_network import (
    DualNetworkConfig,
    State,
    density_error,
    dual_network_errors,
    network,
    projection_step,
    without_network,
)


class Config(DualNetworkConfig):
    """The hyperparameters of AMPO."""

    reading: Literal["regularised", "unregularised", "squares"] = hyperparameter(
        "regularised",
        "regularised: the fit is to (1-β) g^k + β Q; unregularised: to g^k + β Q, values without entropy, a fixed "
        "temperature (auto: initial_temperature); squares: no dual network, plain squares on τ log π^θ",
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """As every one; without regulariser there is no entropy to tune."""
        known = super().resolved(spaces)
        if self.reading == "unregularised" and self.temperature == "auto":
            return known.model_copy(update={"temperature": self.initial_temperature})
        return known


init = dual_network.init
refresh = dual_network.refresh


def regulariser(model: ActorCritic, pi: Distribution, draw: Draw) -> Tensor:
    """Φ(π_s), (B,): the negative entropy, or nothing."""
    phi = negative_entropy(model, pi, draw)
    return torch.zeros_like(phi) if model.config.reading == "unregularised" else phi


def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step on the critics."""
    return actor_critic.critic_step(model, state, batch, noise, c, regulariser)


def dual_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the least-squares fit; the old dual vector is the frozen network's [P,C].

    For the negative entropy, projecting the old dual vector first changes it by a constant per state only [D].
    """
    return dual_network.dual_step(
        model, state, batch, noise, c, lambda s, draw: network(model).of_draw(state.old_dual, s, draw)
    )


def both_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the fit, then one of the projection."""
    state, metrics = dual_step(model, state, batch, noise, c)
    state, more = projection_step(model, state, batch, noise, c)
    return state, metrics | more


def squares_loss(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> Tensor:
    """½ E_s E_{a~π^k}[x²], x = τ ℓ_θ - (1-β) τ ℓ_k - β Q, the reading without a dual network; noise (1, B, A).

    With V^k = E_{a~π^k}[Q - τ ℓ_k] it is ½ Var x + ½ (τ KL(π^k ‖ π^θ) + β V^k)² in each state [D]: the constant that no
    policy sees is a proximity of weight β V^k, which freezes π^θ where V^k > 0 and repels it from π^k where V^k < 0.
    """
    draws, x = density_error(model, actor, old_actor, critic, tau, beta, s, noise)
    return 0.5 * model.policy.mean(draws, x**2).mean()


def squares_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step of the reading without a dual network, and one on an automatic temperature."""
    return without_network(model, state, batch, noise, c, squares_loss)


PHASES = {"dual": dual_step, "projection": projection_step, "both": both_step, "squares": squares_step}


def schedule(config: Config) -> tuple[tuple[str, int], ...]:
    """m steps on the dual network and m on the policy, or both in every update; without the network m on the policy."""
    return (("squares", config.m),) if config.reading == "squares" else dual_network.schedule(config)


def noise_samples(config: Config) -> int:  # noqa: ARG001
    """One sample at s' for the critics, one at s for π^k, one at s for the policy."""
    return 3


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ exp((1-β) g_{ω^k}/τ + β Q/τ), and the network from that exponent."""
    if model.config.reading == "squares":
        return dual_errors(model, state, old_actor, s, noise, model.temperature(state, c), c.beta)
    return dual_network_errors(
        model, state, old_actor, s, noise, c, lambda s, draws: network(model).of_draw(state.old_dual, s, draws)
    )
