"""Running moments, the networks that standardise by them, and what a rollout does to both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from on_policy import T, changed, collect, learner, snapshot
from variants import CONTINUOUS, FINITE

from algorithms.core.mlp import MLP
from algorithms.core.rollout import Rollout, discounted_returns
from algorithms.core.standardised import Standardised, merged, moments, orthogonal
from algorithms.core.types import Spaces
from algorithms.family import actor_value


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_moments_of_parts_are_those_of_the_whole() -> None:
    values = 3 + 2 * normal(60, 4)
    parts = merged(merged(merged(moments((4,)), values[:7]), values[7:8]), values[8:])
    assert parts.samples == 60
    torch.testing.assert_close(parts.mean, values.mean(0))
    torch.testing.assert_close(parts.variance, values.var(0, correction=0))
    torch.testing.assert_close(parts.std, values.std(0, correction=0))


def test_a_network_standardises_cuts_off_and_gives_its_moments_no_gradient() -> None:
    network = Standardised(MLP((3, 8, 2), "tanh"))
    inner = network.mlp.init(torch.Generator().manual_seed(0))
    fresh = network.init(torch.Generator().manual_seed(0))
    x = normal(5, 3)
    assert torch.equal(network(fresh, x), network.mlp(inner, x))
    seen = merged(moments((3,)), 5 + 3 * normal(50, 3, seed=1))
    x[0, 0] = 1e6
    p = network.standardising(fresh, seen)
    assert len(p) == sum(np.prod(shape) for shape in network.shapes.values())
    torch.testing.assert_close(network(p, x), network.mlp(inner, ((x - seen.mean) / seen.std).clamp(-10, 10)))
    weights = {name: view.numpy() for name, view in network.unflatten(p).items()}
    for row, expected in zip(x.numpy(), network(p, x), strict=True):
        np.testing.assert_allclose(network.of_one(weights, row), expected.numpy(), atol=1e-6)
    gradient = torch.func.grad(lambda p: network(p, x).sum())(p)
    assert gradient[:6].abs().max() == 0 < gradient[6:].abs().min()


@pytest.mark.parametrize("layer_norm", [False, True])
def test_orthogonal_weights(layer_norm: bool) -> None:
    network = Standardised(MLP((3, 16, 8, 2), layer_norm=layer_norm))
    named = network.unflatten(orthogonal(network, torch.Generator().manual_seed(0), 0.5))
    for i, gain in enumerate((2**0.5, 2**0.5, 0.5)):
        weight = named[f"{i}.weight"][0]
        short = weight if weight.shape[0] < weight.shape[1] else weight.mT
        torch.testing.assert_close(short @ short.mT, gain**2 * torch.eye(len(short)), atol=1e-5, rtol=0)
        assert named[f"{i}.bias"].abs().max() == 0
    assert (named["input.mean"].abs().max(), named["input.std"].min()) == (0, 1)
    assert not layer_norm or named["0.scale"].min() == 1


def test_discounted_returns_over_two_rollouts() -> None:
    """One number at a time, over episodes that end in the middle, at the end of a rollout and beyond it."""
    reward, end = normal(40), torch.zeros(40)
    end[[5, 19, 30]] = 1
    expected, R = [], 0.0
    for r, e in zip(reward.tolist(), end.tolist(), strict=True):
        R = r + 0.9 * R
        expected.append(R)
        R *= 1 - e
    found, left = [], torch.zeros(())
    for part in (slice(0, 15), slice(15, 20), slice(20, 40)):
        s = torch.zeros(len(reward[part]), 1)
        rollout = Rollout(s, s, reward[part], s, s[:, 0], end[part])
        R_part, left = discounted_returns(rollout, left, torch.tensor(0.9))
        found += R_part.tolist()
    assert found == pytest.approx(expected, abs=1e-5)
    assert left == pytest.approx(0.9 * R, abs=1e-5)


@pytest.mark.parametrize("spaces", [CONTINUOUS, FINITE], ids=["continuous", "finite"])
def test_a_rollout_is_taken_in_before_it_is_learned_from(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policy and critic have the moments of all rollouts, π^k those with which it played; afterwards all have them."""
    made, moved = learner("ppo", spaces), []
    step = made._step

    def look(*arguments: object) -> object:
        network, state = made.model.policy.network, made.state
        moved.append([network.unflatten(p)["input.mean"].clone() for p in (state.actor, state.old_actor)])
        return step(*arguments)

    monkeypatch.setattr(made, "_step", look)
    collect(made, T)
    first = made.replay.rows[:, : spaces.observation].clone()
    collect(made, T)
    both = torch.cat([first, made.replay.rows[:, : spaces.observation]])
    torch.testing.assert_close(made.state.observations.mean, both.mean(0))
    torch.testing.assert_close(made.state.observations.variance, both.var(0, correction=0))
    assert moved[0][1].abs().max() == 0
    torch.testing.assert_close(moved[0][0].flatten(), first.mean(0))
    torch.testing.assert_close(moved[-1][1].flatten(), first.mean(0))
    for network, p in ((made.model.policy.network, made.state.old_actor), (made.model.critic, made.state.critic)):
        named = network.unflatten(p)
        torch.testing.assert_close(named["input.mean"].flatten(), both.mean(0))
        torch.testing.assert_close(named["input.std"].flatten(), both.std(0, correction=0))


def test_the_unit_of_the_reward_does_not_matter() -> None:
    """A thousand times the reward gives the same policy, and a thousand times the reported value."""
    ends = []
    for unit in (1.0, 1000.0):
        made = learner("ppo")
        add = made.add
        made.add = lambda s, a, r, *rest, add=add, unit=unit: add(s, a, unit * r, *rest)  # type: ignore[method-assign]
        collect(made, 3 * T)
        ends.append((made.state.actor, made.take_metrics()["v"]))
    torch.testing.assert_close(ends[0][0], ends[1][0], rtol=1e-3, atol=1e-4)
    assert ends[1][1] == pytest.approx(1000 * ends[0][1], rel=1e-2)


def test_what_is_switched_off_is_off() -> None:
    plain = learner("ppo", normalise_observation=False, normalise_reward=False, initialisation="uniform")
    assert isinstance(plain.model.policy.network, MLP)
    assert plain.state.actor.abs().max() < 1.5
    assert actor_value.reward_scale(plain.model, plain.state) == 1
    before = snapshot(plain)
    collect(plain, T)
    assert {"observations.mean", "returns.variance", "actor"} <= changed(before, snapshot(plain))
    assert actor_value.reward_scale(plain.model, plain.state) == 1


def test_the_learning_rate_falls_by_policy_iterations() -> None:
    """K = 4 iterations in 4 T steps: 1, 3/4, 1/2, 1/4, and 1/4 from then on."""
    made = learner("ppo", learning_rate_steps=4 * T)
    rates = []
    for _ in range(6):
        rates.append(actor_value.annealed(made.model, made.state, torch.tensor(1.0), 4 * T).item())
        collect(made, T)
    assert rates == [1, 0.75, 0.5, 0.25, 0.25, 0.25]
    constant, first = learner("ppo"), learner("ppo", learning_rate_steps=4 * T)
    for each in (constant, first):
        collect(each, T)
    assert torch.equal(constant.state.actor, first.state.actor)
    for each in (constant, first):
        collect(each, T)
    assert not torch.equal(constant.state.actor, first.state.actor)
    assert not torch.equal(constant.state.critic, first.state.critic)
