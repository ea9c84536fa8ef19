"""A separate dual network g_ω(s, a), in reward units, and the two half-steps of the methods that have one.

AMPO fits g_ω to the mirror-descent target by least squares and then projects it onto the policies. Source: Alfano,
Yuan, Rebeschini 2023, arXiv 2301.13139, and the public summaries of arXiv 2410.01249 [P]; everything about continuous
actions is our reconstruction [R]. Symbols: g = τ f for a dual vector f (in units of 1 a falling τ makes the target run
away).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import Adam, adam_init, adam_step
from algorithms.core.critics import Critics
from algorithms.core.finite import FiniteCritics
from algorithms.core.hyperparameters import Hyperparameters, hyperparameter
from algorithms.core.types import Batch, Draw, Metrics, Spaces
from algorithms.family.actor_critic import ActorCritic, actor_step, temperature_step
from algorithms.family.diagnostics import dual_errors

OldDual = Callable[[Tensor, Draw], Tensor]  # (s, draw) -> values of the draw, in reward units


class DualNetworkConfig(Hyperparameters):
    """What methods with a dual network share."""

    beta: float = hyperparameter(0.5, "weight of the values against the old dual vector, ητ/(1 + ητ)", "β", gt=0, le=1)
    m: int = hyperparameter(
        10, "gradient steps on the dual network, and as many on the policy, per iteration", "m", ge=1
    )
    interleaved: bool | Literal["auto"] = hyperparameter(
        "auto", "one step on each in every update, instead of m and then m; auto: in a discrete environment"
    )
    fitted_at: Literal["auto", "mixed", "policy"] = hyperparameter(
        "auto",
        "actions of the dual network's fit: mixed: half of the replay, half of π^k; policy: of π^k only; auto: policy "
        "in a discrete environment, else mixed",
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """As every one; what is automatic depends on the kind of the actions."""
        chosen = {"interleaved": self.discrete(spaces), "fitted_at": "policy" if self.discrete(spaces) else "mixed"}
        update = {name: value for name, value in chosen.items() if getattr(self, name) == "auto"}
        return super().resolved(spaces).model_copy(update=update)


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    old_actor: Tensor  # π^k
    dual: Tensor  # g_ω
    dual_adam: Adam
    old_dual: Tensor  # g_{ω^k}
    critic: Tensor
    critic_adam: Adam
    target_critic: Tensor
    log_temperature: Tensor
    temperature_adam: Adam


def init(model: ActorCritic, generator: torch.Generator) -> State:
    """Fresh networks; the old ones are the first ones."""
    core = model.init(generator)
    dual = network(model).network.init(generator)
    old = {"old_actor": core["actor"].clone(), "old_dual": dual.clone()}
    return State(**core, dual=dual, dual_adam=adam_init(dual), **old)


def network(model: ActorCritic) -> Critics | FiniteCritics:
    """g, a network like one critic."""
    return model.critic.single()


def kept(model: ActorCritic, c: Any) -> Any:
    """The weight of the old dual vector in the target: 1 - β; or 1, where nothing is regularised."""
    return 1.0 if getattr(model.config, "reading", None) == "unregularised" else 1 - c.beta


def dual_step(
    model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any, old_dual: OldDual
) -> tuple[State, Metrics]:
    """One step on E_{s, a~v}[(g_ω - (1-β) g^k - β Q)²], v of π^k, or half of it and half of the replay [R]."""
    s, g, old = batch.observation, network(model), model.policy.distribution(state.old_actor, batch.observation)
    mixed = model.config.fitted_at == "mixed"
    draw = model.policy.behaviour(old, batch.action, noise[1]) if mixed else model.policy.draw(old, noise[1])
    y = kept(model, c) * old_dual(s, draw) + c.beta * model.critic.of_draw(state.critic, s, draw)

    def loss(dual: Tensor) -> Tensor:
        return model.policy.expectation(draw, (g.of_draw(dual, s, draw) - y) ** 2).mean()

    gradient, value = grad_and_value(loss)(state.dual)
    dual, adam = adam_step(state.dual, gradient, state.dual_adam, c.learning_rate)
    metrics = {"dual_loss": value, "temperature": model.temperature(state, c)}
    return state._replace(dual=dual, dual_adam=adam), metrics


def projection_loss(
    model: ActorCritic, actor: Tensor, dual: Tensor, tau: Tensor, s: Tensor, noise: Tensor
) -> tuple[Tensor, Draw]:
    """E_s E_{a~π^θ}[τ ℓ_θ - g_ω(s, a)]: up to a constant, τ times the KL to the policy that g_ω stands for."""
    draw = model.policy.draw(model.policy.distribution(actor, s), noise)
    g = network(model).of_draw(dual, s, draw)
    return model.policy.expectation(draw, tau * draw.log_prob - g).mean(), draw


def projection_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
    """One gradient step of the Bregman projection, and one on an automatic temperature."""
    tau = model.temperature(state, c)

    def loss(actor: Tensor) -> tuple[Tensor, Draw]:
        return projection_loss(model, actor, state.dual, tau, batch.observation, noise[-1])

    new, metrics = actor_step(model, state, c, loss)
    return new, {"eta": c.beta / (tau * kept(model, c)), **metrics}


def without_network(
    model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any, policy_loss: Callable[..., Tensor]
) -> tuple[State, Metrics]:
    """One gradient step of a reading that has no dual network, and one on an automatic temperature."""
    tau, s = model.temperature(state, c), batch.observation

    def loss(actor: Tensor) -> Tensor:
        return policy_loss(model, actor, state.old_actor, state.critic, tau, c.beta, s, noise[1:-1])

    gradient, value = grad_and_value(loss)(state.actor)
    actor, adam = adam_step(state.actor, gradient, state.actor_adam, c.learning_rate)
    draw = model.policy.draw(model.policy.distribution(state.actor, s), noise[-1])
    entropy = -model.policy.expectation(draw, draw.log_prob).mean()
    new = state._replace(actor=actor, actor_adam=adam)
    new, metrics = temperature_step(model, new, -entropy, -c.target_entropy, c)
    return new, {"actor_loss": value, "entropy": entropy, "eta": c.beta / (tau * (1 - c.beta)), **metrics}


def density_error(
    model: ActorCritic,
    actor: Tensor,
    old_actor: Tensor,
    critic: Tensor,
    tau: Tensor,
    beta: Tensor,
    s: Tensor,
    noise: Tensor,
) -> tuple[Draw, Tensor]:
    """N actions of π^k per state, and x = τ ℓ_θ - (1-β) τ ℓ_k - β Q at them, in reward units; noise (N, B, A)."""
    policy = model.policy
    draws = policy.draw(policy.distribution(old_actor, s), noise)
    y = (1 - beta) * tau * draws.log_prob + beta * model.critic.of_draw(critic, s, draws)
    return draws, tau * policy.log_prob_of(policy.distribution(actor, s), draws) - y


def refresh(state: State) -> State:
    """The policy and its dual network become the old ones."""
    return state._replace(old_actor=state.actor, old_dual=state.dual)


def schedule(config: Any) -> tuple[tuple[str, int], ...]:
    """A policy iteration fits the dual network and then the policy, or both in every update."""
    return (("both", config.m),) if config.interleaved else (("dual", config.m), ("projection", config.m))


def dual_network_errors(
    model: ActorCritic,
    state: State,
    old_actor: Tensor,
    s: Tensor,
    noise: Tensor,
    c: Any,
    old_dual: OldDual,
) -> Metrics:
    """`dual_errors` of the policy, and `network_error`: ½ Var_{a~π^θ}[(g_ω - (1-β) g^k - β Q)/τ], the fit's own error.

    `old_dual` gives g^k of drawn actions, in reward units.
    """
    tau = model.temperature(state, c)
    draws = model.policy.draw(model.policy.distribution(state.actor, s), noise)
    y = kept(model, c) * old_dual(s, draws) + c.beta * model.critic.of_draw(state.critic, s, draws)
    x = (network(model).of_draw(state.dual, s, draws) - y) / tau
    errors = dual_errors(
        model, state, old_actor, s, noise, tau, c.beta, lambda s, draws: old_dual(s, draws) / tau, kept(model, c)
    )
    return {**errors, "network_error": 0.5 * model.policy.variance(draws, x).mean()}
