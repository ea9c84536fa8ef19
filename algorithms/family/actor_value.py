"""What the on-policy algorithms share: a policy and a state-value critic V, their state, and the critic's step.

Symbols: V the critic, π^k the policy that played the rollout, Â the advantage estimate, τ the temperature,
η the step of mirror descent, ρ = π^θ(a|s)/π^k(a|s).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from algorithms.core.adam import Adam, adam_init, adam_step
from algorithms.core.hyperparameters import OnPolicyHyperparameters
from algorithms.core.mlp import MLP
from algorithms.core.rollout import Minibatch, Rollout, discounted_returns, gae, normalised
from algorithms.core.standardised import Moments, Standardised, merged, moments, orthogonal
from algorithms.core.types import Batch, Distribution, Metrics, Policy, Spaces
from algorithms.family.actor_critic import build_policy

LARGEST_LOG = 10.0  # of a ratio of two densities
LARGEST_REWARD = 10.0  # in standard deviations of the returns; what is beyond counts as that


class State(NamedTuple):
    """Everything that changes during training."""

    actor: Tensor
    actor_adam: Adam
    old_actor: Tensor  # π^k
    critic: Tensor  # of V
    critic_adam: Adam
    iterations: Tensor  # 0-dim, k: policy iterations done
    observations: Moments  # of the rollouts so far, by which the networks standardise
    returns: Moments  # of their discounted returns
    running_return: Tensor  # 0-dim, of the episode that the last rollout did not finish


@dataclass(frozen=True)
class ActorValue:
    """The fixed part of an on-policy learner: hyperparameters and network shapes."""

    config: Any  # an algorithm's Config
    spaces: Spaces
    policy: Policy
    critic: MLP | Standardised

    @classmethod
    def build(cls, config: OnPolicyHyperparameters, spaces: Spaces) -> ActorValue:
        """Networks as the hyperparameters say, resolved for these spaces."""
        policy: Any = build_policy(config, spaces)
        critic: Any = MLP((spaces.observation, *config.hidden_sizes, 1), config.activation, config.layer_norm)
        if config.normalise_observation:
            policy, critic = replace(policy, network=Standardised(policy.network)), Standardised(critic)
        return cls(config.resolved(spaces), spaces, policy, critic)

    def value(self, critic: Tensor, s: Tensor) -> Tensor:
        """V(s), (B,), in units of `reward_scale`."""
        v: Tensor = self.critic(critic, s)
        return v.squeeze(-1)


def init(model: ActorValue, generator: torch.Generator) -> State:
    """Fresh networks; the old policy is the first one."""
    networks = model.policy.network, model.critic
    if model.config.initialisation == "orthogonal":
        actor, critic = (orthogonal(net, generator, gain) for net, gain in zip(networks, (0.01, 1.0), strict=True))
    else:
        actor, critic = (net.init(generator) for net in networks)
    actor = model.policy.widened(actor, model.config.initial_std)
    learned = actor, adam_init(actor), actor.clone(), critic, adam_init(critic), torch.zeros(())
    return State(*learned, moments((model.spaces.observation,)), moments(()), torch.zeros(()))


def observe(model: ActorValue, state: State, rollout: Rollout, c: Any) -> State:
    """Takes a rollout into the running moments, before anything is learned from it.

    π^k keeps those with which it played, so that a ratio to it is exact.
    """
    observations = merged(state.observations, rollout.observation)
    R, running = discounted_returns(rollout, state.running_return, c.gamma)
    state = state._replace(observations=observations, returns=merged(state.returns, R), running_return=running)
    if not model.config.normalise_observation:
        return state
    actor = model.policy.network.standardising(state.actor, observations)
    return state._replace(actor=actor, critic=model.critic.standardising(state.critic, observations))  # type: ignore[union-attr]


def reward_scale(model: ActorValue, state: State) -> Tensor:
    """The reward that the critic counts as one, 0-dim."""
    return state.returns.std if model.config.normalise_reward else torch.ones_like(state.returns.mean)


def advantages(model: ActorValue, state: State, rollout: Rollout, c: Any) -> tuple[Tensor, Metrics]:
    """Packed rows of `Minibatch` (T, S + A + 2), of which every epoch draws its minibatches.

    The value target is Â + V(s), the λ-return, with Â not yet normalised. `explained_variance` is 1 - Var(target - V) /
    Var(target), at most 1: what the critic knew of the rollout before it learned from it.
    """
    v, next_v = (model.value(state.critic, s) for s in (rollout.observation, rollout.next_observation))
    scale = reward_scale(model, state)
    if model.config.normalise_reward:
        rollout = rollout._replace(reward=(rollout.reward / scale).clamp(-LARGEST_REWARD, LARGEST_REWARD))
    advantage = gae(rollout, v, next_v, c.gamma, c.gae_lambda)
    target = advantage + v
    metrics = {"v": scale * v.mean(), "explained_variance": 1 - advantage.var() / target.var().clamp(min=1e-12)}
    if model.config.normalise_advantage:
        advantage = normalised(advantage)
    return torch.cat([rollout.observation, rollout.action, advantage[:, None], target[:, None]], -1), metrics


def actor_step(
    model: ActorValue, state: State, c: Any, loss: Callable[[Tensor], tuple[Tensor, Metrics]]
) -> tuple[State, Metrics]:
    """One gradient step on the policy's loss; the loss gives metrics, too."""
    gradient, (value, metrics) = grad_and_value(loss, has_aux=True)(state.actor)
    rate = annealed(model, state, c.learning_rate, model.config.learning_rate_steps)
    actor, adam = adam_step(state.actor, clipped(gradient, c), state.actor_adam, rate)
    return state._replace(actor=actor, actor_adam=adam), {"actor_loss": value, **metrics}


def critic_step(model: ActorValue, state: State, batch: Minibatch, c: Any) -> tuple[State, Metrics]:
    """One gradient step on ½ E[(V(s) - target)²]."""

    def loss(critic: Tensor) -> Tensor:
        return 0.5 * ((model.value(critic, batch.observation) - batch.value_target) ** 2).mean()

    gradient, value = grad_and_value(loss)(state.critic)
    rate = annealed(model, state, c.critic_learning_rate, model.config.learning_rate_steps)
    critic, adam = adam_step(state.critic, clipped(gradient, c), state.critic_adam, rate)
    return state._replace(critic=critic, critic_adam=adam), {"critic_loss": value}


def ratio(model: ActorValue, pi: Distribution, old: Distribution, action: Tensor) -> Tensor:
    """ρ = π^θ(a|s)/π^k(a|s), (B,), at the actions that were taken; beyond e^LARGEST_LOG it goes on along its tangent.

    So it is finite, with a gradient that still pushes back, however narrow a density becomes.
    """
    log_rho = model.policy.log_prob_at(pi, action) - model.policy.log_prob_at(old, action)
    rho: Tensor = torch.exp(log_rho.clamp(max=LARGEST_LOG)) * (1 + (log_rho - LARGEST_LOG).clamp(min=0))
    return rho


def clipped(gradient: Tensor, c: Any) -> Tensor:
    """The gradient (P,), scaled down to the largest norm that the hyperparameters allow."""
    scale: Tensor = c.max_gradient_norm / gradient.norm().clamp(min=c.max_gradient_norm)
    return gradient * scale


def negative_entropy(model: ActorValue, pi: Distribution, noise: Tensor) -> Tensor:
    """E_s E_{a~π} log π(a|s), 0-dim: for continuous actions from one reparameterised sample a state."""
    draw = model.policy.draw(pi, noise)
    return model.policy.expectation(draw, draw.log_prob).mean()


def annealed(model: ActorValue, state: State, value: Tensor, steps: int) -> Tensor:
    """The value, or where there are `steps` value · (1 - k/K) over the K policy iterations in so many, 0-dim."""
    if not steps:
        return value
    K = max(1, steps // model.config.rollout_steps)
    rest: Tensor = 1 - state.iterations.clamp(max=K - 1) / K
    return value * rest


def step_size(model: ActorValue, state: State, c: Any) -> Tensor:
    """η_k, 0-dim."""
    return annealed(model, state, c.eta, model.config.anneal_steps)


def refresh(state: State) -> State:
    """π^{k+1} becomes the old policy."""
    return state._replace(old_actor=state.actor, iterations=state.iterations + 1)


def v_overestimation(model: ActorValue, state: State, episode: Batch, c: Any) -> Metrics:
    """The critic at the states of one episode of the current policy, in order, against the returns that followed.

    The discounted return goes on with V(s') where the episode was truncated. `v_overestimation` is the mean of V - G,
    `discounted_return` that of G, in units of the reward.
    """
    scale = reward_scale(model, state)
    v = scale * model.value(state.critic, episode.observation)
    G = (scale * model.value(state.critic, episode.next_observation[-1:])).item()
    returns = []
    rewards, discounts = (x.tolist()[::-1] for x in (episode.reward, c.gamma * episode.bootstrap))
    for reward, discount in zip(rewards, discounts, strict=True):
        G = reward + discount * G
        returns.append(G)
    mean = torch.tensor(returns).mean()
    return {"v_overestimation": v.mean().cpu() - mean, "discounted_return": mean}
