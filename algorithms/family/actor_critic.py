"""What the algorithms of the family share: networks, the part of the state that all have, critic and temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import adam_init, adam_step
from algorithms.core.critics import Critics
from algorithms.core.finite import Factored, FiniteCritics
from algorithms.core.hyperparameters import Hyperparameters, SharedHyperparameters
from algorithms.core.tanh_gaussian import TanhGaussian
from algorithms.core.types import Batch, Distribution, Draw, Metrics, Policy, Spaces


def build_policy(config: SharedHyperparameters, spaces: Spaces) -> Policy:
    """The policy of these actions: the one place that chooses between continuous and finite ones."""
    shape: tuple[Any, str, bool] = (config.hidden_sizes, config.activation, config.layer_norm)
    return Factored.build(spaces, *shape, config.mirror_map()) if spaces.choices else TanhGaussian.build(spaces, *shape)


@dataclass(frozen=True)
class ActorCritic:
    """The fixed part of a learner: hyperparameters and network shapes. Everything that changes is in the state."""

    config: Any  # an algorithm's Config
    spaces: Spaces
    policy: Policy
    critic: Critics | FiniteCritics

    @classmethod
    def build(cls, config: Hyperparameters, spaces: Spaces) -> ActorCritic:
        """Networks as the hyperparameters say. `config` is resolved for these spaces."""
        config = config.resolved(spaces)
        shape: Any = (
            config.hidden_sizes,
            config.activation,
            config.layer_norm,
            config.critics,
            config.critic_reduction,
        )
        critic = FiniteCritics.build(spaces, *shape) if spaces.choices else Critics.build(spaces, *shape)
        return cls(config, spaces, build_policy(config, spaces), critic)

    def init(self, generator: torch.Generator) -> dict[str, Any]:
        """The fields that every algorithm's state has, by name."""
        actor = self.policy.network.init(generator)
        critic = self.critic.network.init(generator)
        tau = self.config.temperature
        log_temperature = torch.tensor(self.config.initial_temperature if tau == "auto" else tau).log()
        return {
            "actor": actor,
            "actor_adam": adam_init(actor),
            "critic": critic,
            "critic_adam": adam_init(critic),
            "target_critic": critic.clone(),
            "log_temperature": log_temperature,
            "temperature_adam": adam_init(log_temperature),
        }

    def temperature(self, state: Any, c: Any) -> Tensor:
        """τ, 0-dim and without gradient."""
        tau: Tensor = state.log_temperature.exp() if self.config.temperature == "auto" else c.temperature
        return tau


Regulariser = Callable[[ActorCritic, Distribution, Draw], Tensor]


def negative_entropy(model: ActorCritic, pi: Distribution, draw: Draw) -> Tensor:  # noqa: ARG001
    """Φ(π_s) = E_{a~π} log π(a|s), (B,), from the draw. Another mirror map's Φ may be a closed form of π."""
    return model.policy.expectation(draw, draw.log_prob)


def critic_step(
    model: ActorCritic, state: Any, batch: Batch, noise: Tensor, c: Any, regulariser: Regulariser = negative_entropy
) -> tuple[Any, Metrics]:
    """One step on the critics' squared Bellman error, then their targets follow. Eq. 5 to 6 of arXiv:1812.05905.

    y = r + γ (1 - terminated) (E_{a'~π} Q̄(s', a') - τ Φ(π_{s'})), a' from the first of the K noise samples.
    """
    s, a, r, s2, bootstrap = batch
    pi = model.policy.distribution(state.actor, s2)
    draw = model.policy.draw(pi, noise[0])
    next_q = model.policy.expectation(draw, model.critic.of_draw(state.target_critic, s2, draw))
    next_v = next_q - model.temperature(state, c) * regulariser(model, pi, draw)
    y = r + c.gamma * bootstrap * next_v  # (B,)

    def loss(critic: Tensor) -> tuple[Tensor, Tensor]:
        q = model.critic.of_action(critic, s, a)  # (N, B)
        return 0.5 * ((q - y) ** 2).mean(-1).sum(), q.mean()

    gradient, (value, q_mean) = grad_and_value(loss, has_aux=True)(state.critic)
    critic, adam = adam_step(state.critic, gradient, state.critic_adam, c.critic_learning_rate)
    target = torch.lerp(state.target_critic, critic, c.polyak)
    new = state._replace(critic=critic, critic_adam=adam, target_critic=target)
    return new, {"critic_loss": value, "q": q_mean}


def actor_step(
    model: ActorCritic, state: Any, c: Any, loss: Callable[[Tensor], tuple[Tensor, Draw]]
) -> tuple[Any, Metrics]:
    """One gradient step on the policy's loss, and one on an automatic temperature, by the entropy of the draw."""
    gradient, (value, draw) = grad_and_value(loss, has_aux=True)(state.actor)
    actor, adam = adam_step(state.actor, gradient, state.actor_adam, c.learning_rate)
    entropy = -model.policy.expectation(draw, draw.log_prob).mean()
    new = state._replace(actor=actor, actor_adam=adam)
    new, metrics = temperature_step(model, new, -entropy, -c.target_entropy, c)
    return new, {"actor_loss": value, "entropy": entropy, **metrics}


def temperature_step(model: ActorCritic, state: Any, phi: Tensor, phi_target: Tensor, c: Any) -> tuple[Any, Metrics]:
    """One step on an automatic temperature, none on a fixed one: τ rises while the mean Φ(π) is above its target.

    For the negative entropy this is Eq. 18 of arXiv:1812.05905 in log τ. `phi` and `phi_target` are 0-dim.
    """
    metrics = {"temperature": model.temperature(state, c)}
    if model.config.temperature != "auto":
        return state, metrics
    gradient = phi_target - phi
    rate = c.temperature_learning_rate
    log_temperature, adam = adam_step(state.log_temperature, gradient, state.temperature_adam, rate)
    return state._replace(log_temperature=log_temperature, temperature_adam=adam), metrics


# The defaults of the contract, for an algorithm with one phase of m steps between which π^k is frozen.


def noise_samples(config: Any) -> int:  # noqa: ARG001
    """One sample at s' for the critics, one at s for the policy."""
    return 2


def schedule(config: Any) -> tuple[tuple[str, int], ...]:
    """A policy iteration is m gradient steps."""
    return (("policy", config.m),)


def refresh(state: Any) -> Any:
    """π^{k+1} becomes the old policy."""
    return state._replace(old_actor=state.actor)
