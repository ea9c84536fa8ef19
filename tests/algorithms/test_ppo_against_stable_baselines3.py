"""PPO's losses are those that stable-baselines3 computes from the same policies, values and minibatch."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from on_policy import learner

from algorithms import ppo
from algorithms.core.rollout import Minibatch, normalised
from algorithms.core.types import Spaces

stable_baselines3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.type_aliases import RolloutBufferSamples  # noqa: E402

B, S, CHOICES = 64, 4, 3


class Discrete(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (S,), np.float32)
    action_space = gymnasium.spaces.Discrete(CHOICES)


@pytest.mark.parametrize("normalise", [False, True])
def test_the_losses_match(normalise: bool) -> None:
    """Their own `train` is given our log-densities, entropies and values; what it records are our losses."""
    made = learner("ppo", Spaces(S, 1, CHOICES), temperature=0.01)
    model, state, c = made.model, made.state, made.coefficients
    generator = torch.Generator().manual_seed(0)
    old, new = (state.actor + scale * torch.randn(state.actor.shape, generator=generator) for scale in (0.3, 0.5))
    s = torch.randn(B, S, generator=generator)
    a = torch.randint(0, CHOICES, (B, 1), generator=generator).float()
    advantage, target = torch.randn(2, B, generator=generator)
    pi, pi_old = (model.policy.distribution(p, s) for p in (new, old))
    log_prob, old_log_prob = (model.policy.log_prob_at(p, a) for p in (pi, pi_old))
    entropy, value = -(pi.prob * pi.log_prob).sum((-2, -1)), model.value(state.critic, s)

    theirs = stable_baselines3.PPO(
        "MlpPolicy", Discrete(), n_steps=B, batch_size=B, n_epochs=1, clip_range=0.2, ent_coef=0.01, device="cpu",
        normalize_advantage=normalise,
    )  # fmt: skip
    theirs.set_logger(stable_baselines3.common.logger.Logger(None, []))
    samples = RolloutBufferSamples(s, a, value, old_log_prob, advantage, target)
    theirs.rollout_buffer.get = lambda _size: iter([samples])
    given = tuple(tensor.detach().requires_grad_() for tensor in (value, log_prob, entropy))
    theirs.policy.evaluate_actions = lambda *_: given
    theirs.train()
    record = theirs.logger.name_to_value

    ours = Minibatch(s, a, normalised(advantage) if normalise else advantage, target)
    loss, metrics = ppo.actor_loss(model, new, old, ours, torch.zeros(B, 1), c)
    _, of_critic = ppo.critic_step(model, state, ours, c)
    assert metrics["clipped"].item() == pytest.approx(record["train/clip_fraction"])
    assert 0.05 < metrics["clipped"] < 0.95
    expected = record["train/policy_gradient_loss"] + 0.01 * record["train/entropy_loss"]
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert 2 * of_critic["critic_loss"].item() == pytest.approx(record["train/value_loss"], rel=1e-5)
