"""What every algorithm with rollouts promises. A new file in `algorithms/` is tested here without a change."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from on_policy import EPOCHS, NAMES, B, T, changed, collect, learner, snapshot
from torch import Tensor
from variants import CONTINUOUS, FINITE

import algorithms
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Batch, Spaces
from algorithms.learner.base import named_leaves


@pytest.fixture(
    params=[
        (name, spaces)
        for name in NAMES
        for spaces in (CONTINUOUS, FINITE)
        if spaces.kind in algorithms.actions_of(algorithms.load(name))
    ],
    ids=str,
)
def chosen(request: pytest.FixtureRequest) -> tuple[str, Spaces]:
    return request.param


def minibatch(made: Any) -> Minibatch:
    spaces, rng = made.model.spaces, np.random.default_rng(0)
    s = rng.normal(size=(B, spaces.observation)).astype(np.float32)
    a = np.stack([made.act(row) for row in s]).astype(np.float32)
    return Minibatch(torch.from_numpy(s), torch.from_numpy(a), *torch.randn(2, B, generator=torch.Generator()))


def test_a_rollout_is_a_policy_iteration(chosen: tuple[str, Spaces]) -> None:
    """Nothing changes while it is collected; then come all epochs, and the policy becomes the old one."""
    made = learner(*chosen)
    before = snapshot(made)
    collect(made, T - 1)
    assert changed(before, snapshot(made)) == set()
    assert made.about_to_update
    assert not made.updating
    collect(made, 1)
    after = snapshot(made)
    assert made.actor_updates == EPOCHS * T // B
    assert {"actor", "old_actor", "critic", "iterations"} <= changed(before, after)
    assert torch.equal(after["old_actor"], after["actor"])
    assert made.state.old_actor.data_ptr() != made.state.actor.data_ptr()
    assert made.updating
    assert not made.about_to_update
    collect(made, T - 1)
    assert changed(after, snapshot(made)) == set()
    collect(made, 1)
    assert made.actor_updates == 2 * EPOCHS * T // B


def test_every_epoch_sees_every_transition_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = learner("ppo"), []
    step = made._step
    monkeypatch.setattr(made, "_step", lambda state, rows, *rest: seen.append(rows) or step(state, rows, *rest))
    collect(made, T)
    played = made.replay.rows[:, :4]
    for epoch in range(EPOCHS):
        rows = torch.cat(seen[epoch * T // B : (epoch + 1) * T // B])[:, :4]
        assert torch.equal(rows[rows[:, 0].argsort()], played[played[:, 0].argsort()])
        assert not torch.equal(rows, played)


def test_same_seed_same_bits_and_another_seed_others(chosen: tuple[str, Spaces]) -> None:
    first, second, other = learner(*chosen), learner(*chosen), learner(*chosen, seed=1)
    for made in (first, second, other):
        collect(made, T + 5)
    assert changed(snapshot(first), snapshot(second)) == set()
    assert "actor" in changed(snapshot(first), snapshot(other))


@pytest.mark.parametrize("at", [T + 7, 2 * T, 2 * T - 1])
def test_a_rollout_goes_on_where_it_was(chosen: tuple[str, Spaces], at: int) -> None:
    """All that a checkpoint keeps, taken amid a rollout and at its ends, gives the same bits from there on."""
    made, other = learner(*chosen), learner(*chosen, seed=5)
    collect(made, at)
    made.take_metrics(keep=True)
    start = max(0, at - T)
    other.restore({name: tensor.clone() for name, tensor in made.tensors().items()}, made.counters())
    other.replay.write(start, made.replay.read(start, at))
    for each in (made, other):
        collect(each, T)
    assert changed(snapshot(made), snapshot(other)) == set()
    assert torch.equal(made.replay.rows, other.replay.rows)
    assert made.take_metrics() == other.take_metrics()


def test_step_functions_are_pure(chosen: tuple[str, Spaces]) -> None:
    made = learner(*chosen)
    batch, noise, c = minibatch(made), torch.randn(B, 2), made.coefficients
    before = snapshot(made)
    with torch.no_grad():
        for _ in range(2):
            new, _ = made.algorithm.policy_step(made.model, made.state, batch, noise, c)
            new, _ = made.algorithm.critic_step(made.model, new, batch, c)
            after = dict(named_leaves(new))
            assert {name.partition(".")[0] for name in changed(before, after)} == {
                "actor",
                "actor_adam",
                "critic",
                "critic_adam",
            }
    assert changed(before, snapshot(made)) == set()


def test_the_policy_step_follows_the_advantage(chosen: tuple[str, Spaces]) -> None:
    """The actions of positive advantage become likelier, and the others less likely."""
    made = learner(*chosen, epochs=1)
    batch, c = minibatch(made), made.coefficients
    batch = batch._replace(advantage=torch.where(torch.arange(B) % 2 == 0, 1.0, -1.0))
    policy, state = made.model.policy, made.state

    def gain(actor: Tensor) -> float:
        log_prob = policy.log_prob_at(policy.distribution(actor, batch.observation), batch.action)
        return float((log_prob * batch.advantage).mean())

    with torch.no_grad():
        before = gain(state.actor)
        for _ in range(3):
            state, _ = made.algorithm.policy_step(made.model, state, batch, torch.zeros(B, 2), c)
        assert gain(state.actor) > before + 1e-4


def test_the_critic_learns_its_targets(chosen: tuple[str, Spaces]) -> None:
    made = learner(*chosen)
    batch, state, losses = minibatch(made), made.state, []
    with torch.no_grad():
        for _ in range(200):
            state, metrics = made.algorithm.critic_step(made.model, state, batch, made.coefficients)
            losses.append(metrics["critic_loss"].item())
    v = made.model.value(made.state.critic, batch.observation)
    assert losses[0] == pytest.approx(0.5 * ((v - batch.value_target) ** 2).mean().item())
    assert losses[-1] < 0.2 * losses[0]


def test_metrics(chosen: tuple[str, Spaces]) -> None:
    made = learner(*chosen)
    collect(made, T - 1)
    assert made.take_metrics() == {}
    collect(made, 1)
    metrics = made.take_metrics()
    assert set(metrics) >= {"critic_loss", "actor_loss", "entropy", "v", "explained_variance", "kl_old"}
    assert metrics["kl_old"] > 0
    assert all(np.isfinite(value) for value in metrics.values())


def test_any_two_algorithms_differ() -> None:
    ends = {}
    for name, spaces in itertools.product(NAMES, (CONTINUOUS, FINITE)):
        made = learner(name, spaces)
        collect(made, 2 * T)
        ends[name, spaces] = made.state.actor
    for (one, spaces), (other, others) in itertools.combinations(ends, 2):
        assert spaces != others or not torch.equal(ends[one, spaces], ends[other, others]), (one, other)


def test_the_first_policy_explores_as_asked() -> None:
    for std in (0.3, 1.0):
        made = learner("ppo", initial_std=std, hidden_sizes=(256, 256))
        with torch.no_grad():
            pi = made.model.policy.distribution(made.state.actor, torch.zeros(1, 4))
        assert pi.log_std.exp().mean().item() == pytest.approx(std, rel=0.2)
    actions = np.stack([learner("ppo", FINITE, seed).act(np.zeros(4)) for seed in range(60)])
    assert set(actions.ravel().tolist()) == {0.0, 1.0, 2.0}


def test_minibatches_must_cover_a_rollout() -> None:
    with pytest.raises(ValueError, match="batch_size = 9 does not divide rollout_steps = 32"):
        learner("ppo", batch_size=9)


def test_value_errors_of_one_episode() -> None:
    """G is computed backwards from the end, with V(s') after a truncation."""
    made = learner("ppo", gamma=0.5)
    s = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    v = made.model.value(made.state.critic, s).tolist()
    for bootstrap, last in ((0.0, 0.0), (1.0, 0.5 * v[3])):
        follow = torch.tensor([1.0, 1.0, bootstrap])
        episode = Batch(s[:3], torch.zeros(3, 2), torch.tensor([1.0, 2.0, 4.0]), s[1:], follow)
        G = [1 + 0.5 * (2 + 0.5 * (4 + last)), 2 + 0.5 * (4 + last), 4 + last]
        measured = made.overestimation(episode)
        assert measured["discounted_return"] == pytest.approx(sum(G) / 3)
        assert measured["v_overestimation"] == pytest.approx((sum(v[:3]) - sum(G)) / 3, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spaces"), [("ppo", FINITE), ("dapo-l2-on", CONTINUOUS)])
def test_compiled_is_eager(name: str, spaces: Spaces) -> None:
    eager, compiled = (learner(name, spaces, compiled=mode) for mode in (False, True))
    for made in (eager, compiled):
        rng = np.random.default_rng(0)
        for _ in range(2 * T):
            a = rng.integers(3, size=2) if spaces.choices else rng.uniform(-1, 1, 2)
            made.add(rng.normal(size=4), a, rng.normal(), rng.normal(size=4), rng.random() < 0.1, False)
            made.update()
    for (leaf, expected), (_, value) in zip(named_leaves(eager.state), named_leaves(compiled.state), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4, msg=lambda text, leaf=leaf: f"{leaf}: {text}")
