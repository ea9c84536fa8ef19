"""Generalised advantage estimates: an example by hand, and the recursion one number at a time."""

from __future__ import annotations

import pytest
import torch

from algorithms.core.rollout import Minibatch, Rollout, gae, normalised
from algorithms.core.types import Spaces


def rollout(reward: list[float], bootstrap: list[float], end: list[float]) -> Rollout:
    T = len(reward)
    s = torch.zeros(T, 1)
    return Rollout(s, s, torch.tensor(reward), s, torch.tensor(bootstrap), torch.tensor(end))


def test_by_hand() -> None:
    """γ = λ = ½. Step 1 terminates, step 3 is truncated, and the rollout ends amid an episode."""
    played = rollout([1, 2, 3, 4, 5], bootstrap=[1, 0, 1, 1, 1], end=[0, 1, 0, 1, 0])
    v = torch.tensor([10.0, 20.0, 30.0, 40.0, 50.0])
    next_v = torch.tensor([20.0, 100.0, 40.0, 60.0, 80.0])
    # δ: 1 + 10 - 10 = 1;  2 - 20 = -18, without V;  3 + 20 - 30 = -7;  4 + 30 - 40 = -6, with V;  5 + 40 - 50 = -5
    # Â: δ + Â'/4, but nothing after steps 1, 3 and 4
    expected = torch.tensor([1 - 18 / 4, -18, -7 - 6 / 4, -6, -5])
    half = torch.tensor(0.5)
    torch.testing.assert_close(gae(played, v, next_v, half, half), expected)


@pytest.mark.parametrize("T", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.95, 1.0])
def test_as_the_recursion_says(T: int, gae_lambda: float, float64: None) -> None:
    generator = torch.Generator().manual_seed(T)
    reward, v, next_v = torch.randn(3, T, generator=generator)
    terminated = torch.rand(T, generator=generator) < 0.05
    truncated = torch.rand(T, generator=generator) < 0.05
    s = torch.zeros(T, 1)
    end = (terminated | truncated).double()
    played = Rollout(s, s, reward, s, 1 - terminated.double(), end)
    gamma, following, expected = 0.97, 0.0, []
    for t in reversed(range(T)):
        delta = reward[t].item() + gamma * (not terminated[t]) * next_v[t].item() - v[t].item()
        following = delta + gamma * gae_lambda * (not end[t]) * following
        expected.append(following)
    estimated = gae(played, v, next_v, torch.tensor(gamma), torch.tensor(gae_lambda))
    torch.testing.assert_close(estimated, torch.tensor(expected[::-1]), rtol=1e-10, atol=1e-10)


def test_with_lambda_one_the_value_target_is_the_discounted_return() -> None:
    played = rollout([1, 1, 1], bootstrap=[1, 1, 0], end=[0, 0, 1])
    v = torch.tensor([3.0, -2.0, 7.0])
    estimated = gae(played, v, v.roll(-1), torch.tensor(0.9), torch.tensor(1.0))
    torch.testing.assert_close(estimated + v, torch.tensor([1 + 0.9 + 0.81, 1.9, 1.0]))


def test_packed_rows_come_back() -> None:
    spaces = Spaces(observation=2, action=3)
    rows = torch.arange(20.0).view(2, 10)
    s, a, r, s2, bootstrap, end = Rollout.unpack(rows, spaces)
    assert s.tolist() == [[0, 1], [10, 11]]
    assert a.tolist() == [[2, 3, 4], [12, 13, 14]]
    assert (r.tolist(), s2.tolist()) == ([5, 15], [[6, 7], [16, 17]])
    assert (bootstrap.tolist(), end.tolist()) == ([8, 18], [9, 19])
    batch = Minibatch.unpack(rows[:, :7], spaces)
    assert (batch.advantage.tolist(), batch.value_target.tolist()) == ([5, 15], [6, 16])


def test_normalised_advantages() -> None:
    advantage = normalised(torch.tensor([1.0, 2.0, 6.0]))
    assert abs(advantage.mean()) < 1e-6
    assert advantage.std() == pytest.approx(1)
    assert normalised(torch.full((4,), 3.0)).tolist() == [0, 0, 0, 0]
