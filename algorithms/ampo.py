"""AMPO: approximate mirror policy optimisation, a dual network fitted by least squares and then projected.

Source: Alfano, Yuan, Rebeschini 2023, "A Novel Framework for Policy Mirror Descent with General Parameterization and
Linear Convergence", arXiv 2301.13139; for continuous actions our reconstruction [R]. The fit measures its error by
plain squares and the projection by KL: two geometries, where DAPO has one [P].
Symbols: π^k, g_{ω^k} the policy and the dual network frozen for an iteration, ℓ_θ = log π^θ(a|s), Q the minimum of the
critics, τ the temperature, g = τ f the dual vector in reward units.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from algorithms import _actor_critic, _dual_network
from algorithms._actor_critic import ActorCritic, negative_entropy
from algorithms._dual_network import DualNetworkConfig, State, dual_network_errors, network, projection_step
from algorithms._types import Batch, Metrics


class Config(DualNetworkConfig):
    """AMPO has no hyperparameters beyond those of every method with a dual network."""


init = _dual_network.init
critic_step = _actor_critic.critic_step
regulariser = negative_entropy
schedule = _dual_network.schedule


def dual_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the least-squares fit to (1-β) g_{ω^k} + β Q; the old dual vector is the frozen network's [P,C].

    For the negative entropy, projecting the old dual vector first changes it by a constant per state only [D].
    """
    return _dual_network.dual_step(
        model, state, batch, noise, c, lambda s, draw: network(model).of_draw(state.old_dual, s, draw)
    )


def both_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One step of the fit, then one of the projection."""
    state, metrics = dual_step(model, state, batch, noise, c)
    state, more = projection_step(model, state, batch, noise, c)
    return state, metrics | more


PHASES = {"dual": dual_step, "projection": projection_step, "both": both_step}


def noise_samples(config: Config) -> int:  # noqa: ARG001
    """One sample at s' for the critics, one at s for π^k, one at s for the policy."""
    return 3


def refresh(state: State) -> State:
    """The policy and its dual network become the old ones."""
    return state._replace(old_actor=state.actor, old_dual=state.dual)


def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
    """How far π^θ is from π̂ ∝ exp((1-β) g_{ω^k}/τ + β Q/τ), and the network from that exponent."""
    return dual_network_errors(
        model, state, old_actor, s, noise, c, lambda s, draws: network(model).of_draw(state.old_dual, s, draws)
    )
