"""Identity 11: ten SAC updates from copied weights, batches and noise match stable-baselines3's to 1e-5.

Two things are brought to our definition in stable-baselines3's policy, as subclasses here: the smooth bound on log σ
(theirs clips) and log(1 - tanh² u) without their 1e-6 inside the logarithm.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch

from algorithms import load
from algorithms.core.hyperparameters import coefficients
from algorithms.core.tanh_gaussian import LOG_STD_MAX, LOG_STD_MIN, Gaussian
from algorithms.core.types import Batch, Spaces
from algorithms.family.actor_critic import ActorCritic

stable_baselines3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.type_aliases import ReplayBufferSamples  # noqa: E402
from stable_baselines3.sac.policies import Actor, SACPolicy  # noqa: E402

UPDATES, B, S, A = 10, 32, 3, 2


class Noise:
    """Normal samples in the order in which stable-baselines3 asks for them: at s, then at s'."""

    queue: ClassVar[list[torch.Tensor]] = []


class OurActor(Actor):
    """Their network with our meaning of its outputs."""

    def action_log_prob(self, obs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        latent = self.latent_pi(self.extract_features(obs, self.features_extractor))
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(self.log_std(latent)) + 1)
        normal = torch.distributions.Normal(self.mu(latent), log_std.exp())
        u = normal.loc + normal.scale * Noise.queue.pop(0)
        transform = torch.distributions.TanhTransform()
        action = torch.tanh(u)
        return action, (normal.log_prob(u) - transform.log_abs_det_jacobian(u, action)).sum(-1)


class OurPolicy(SACPolicy):
    def make_actor(self, features_extractor: Any = None) -> OurActor:
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return OurActor(**kwargs).to(self.device)


def flat(layers: list[list[torch.nn.Linear]]) -> torch.Tensor:
    """The linear layers' weights in our order: layer by layer, the copies of each stacked, weights (in, out)."""
    parts = []
    for copies in zip(*layers, strict=True):
        parts += [torch.stack([layer.weight.T for layer in copies]).flatten()]
        parts += [torch.stack([layer.bias for layer in copies]).flatten()]
    return torch.cat(parts).detach().clone()


def linears(module: torch.nn.Module) -> list[torch.nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def actor_layers(actor: Any) -> list[torch.nn.Linear]:
    head = torch.nn.Linear(1, 1)
    head.weight = torch.nn.Parameter(torch.cat([actor.mu.weight, actor.log_std.weight]))
    head.bias = torch.nn.Parameter(torch.cat([actor.mu.bias, actor.log_std.bias]))
    return [*linears(actor.latent_pi), head]


def critic_layers(critic: Any) -> list[list[torch.nn.Linear]]:
    return [linears(network) for network in critic.q_networks]


class Box(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (S,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (A,), np.float32)


@pytest.mark.parametrize("temperature", ["auto", 0.2])
def test_ten_updates_match(temperature: float | str) -> None:
    sac: Any = load("sac")
    model = ActorCritic.build(sac.Config(batch_size=B, temperature=temperature, initial_temperature=1.0), Spaces(S, A))
    c = coefficients(model.config)
    theirs = stable_baselines3.SAC(OurPolicy, Box(), batch_size=B, ent_coef=temperature, seed=0, device="cpu")
    theirs.policy.actor.set_training_mode(True)
    theirs.set_logger(stable_baselines3.common.logger.Logger(None, []))

    state = sac.init(model, torch.Generator().manual_seed(1))
    state = state._replace(
        actor=flat([actor_layers(theirs.actor)]),
        critic=flat(critic_layers(theirs.critic)),
        target_critic=flat(critic_layers(theirs.critic_target)),
    )
    assert state.critic.shape == (model.critic.network.size,)
    generator = torch.Generator().manual_seed(2)
    for _ in range(UPDATES):
        batch = Batch(
            torch.randn(B, S, generator=generator),
            torch.rand(B, A, generator=generator) * 2 - 1,
            torch.randn(B, generator=generator),
            torch.randn(B, S, generator=generator),
            (torch.rand(B, generator=generator) < 0.9).float(),
        )
        noise = torch.randn(2, B, A, generator=generator)
        samples = ReplayBufferSamples(
            batch.observation, batch.action, batch.next_observation, 1 - batch.bootstrap[:, None], batch.reward[:, None]
        )
        theirs.replay_buffer.sample = lambda *_, samples=samples, **__: samples
        Noise.queue[:] = [noise[1], noise[0]]
        theirs.train(1, B)
        state, _ = sac.critic_step(model, state, batch, noise, c)
        state, _ = sac.PHASES["policy"](model, state, batch, noise, c)

    torch.testing.assert_close(state.actor, flat([actor_layers(theirs.actor)]), atol=1e-5, rtol=0)
    torch.testing.assert_close(state.critic, flat(critic_layers(theirs.critic)), atol=1e-5, rtol=0)
    torch.testing.assert_close(state.target_critic, flat(critic_layers(theirs.critic_target)), atol=1e-5, rtol=0)
    if temperature == "auto":
        torch.testing.assert_close(state.log_temperature, theirs.log_ent_coef.detach()[0], atol=1e-5, rtol=0)


def test_the_smooth_bound_is_ours() -> None:
    """The subclass above and the policy under test agree on the distribution, so the comparison is of the updates."""
    sac: Any = load("sac")
    model = ActorCritic.build(sac.Config(), Spaces(S, A))
    pi = Gaussian(torch.zeros(1, A), torch.full((1, A), -1.0))
    draw = model.policy.draw(pi, torch.ones(1, A))
    normal = torch.distributions.Normal(0.0, torch.tensor(-1.0).exp())
    squashed = torch.distributions.TransformedDistribution(normal, [torch.distributions.TanhTransform(cache_size=1)])
    torch.testing.assert_close(draw.log_prob, squashed.log_prob(torch.tanh(torch.tensor(-1.0).exp())).reshape(1) * A)
