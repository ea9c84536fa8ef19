"""What every algorithm with replay promises. A new file in `algorithms/` is tested here without a change."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from variants import CONTINUOUS, Variant, learns_from_replay, variants

import algorithms
from algorithms.core.types import Batch
from algorithms.family.contract import Algorithm
from algorithms.learner.base import named_leaves
from algorithms.learner.off_policy import OffPolicyLearner as Learner


@pytest.fixture(params=list(variants()), ids=lambda variant: variant.id)
def algorithm(request: pytest.FixtureRequest) -> Variant:
    return request.param


def learner(algorithm: Any, seed: int = 0, compiled: bool = False, **hyperparameters: object) -> Learner:
    small = {"hidden_sizes": (16, 16), "batch_size": 16, "learning_starts": 8, "buffer_size": 64} | algorithm.switches
    if "m" in algorithm.Config.model_fields:
        small["m"] = 4
    config = algorithm.Config(**(small | hyperparameters))
    made = Learner(algorithm.module, config, algorithm.spaces, seed, compiled=compiled)
    rng = np.random.default_rng(1)
    for _ in range(40):
        action = algorithm.some_action(rng)
        made.replay.add(rng.normal(size=4), action, rng.normal(), rng.normal(size=4), rng.random() < 0.9)
    return made


def iterate(made: Learner, iterations: int = 1) -> None:
    """Whole policy iterations."""
    for _ in range(iterations * sum(count for _, count in made.algorithm.schedule(made.config))):
        made.update()


def snapshot(made: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in named_leaves(made.state)}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_same_seed_same_bits_and_another_seed_others(algorithm: Variant) -> None:
    first, second, other = learner(algorithm), learner(algorithm), learner(algorithm, seed=1)
    for made in (first, second, other):
        for _ in range(25):
            made.update()
    assert changed(snapshot(first), snapshot(second)) == set()
    assert "actor" in changed(snapshot(first), snapshot(other))
    observation = np.ones(4)
    assert np.array_equal(first.act(observation), second.act(observation))


def test_a_critic_update_moves_the_critics_and_nothing_else(algorithm: Variant) -> None:
    made = learner(algorithm, actor_updates_per_step=0)
    before = snapshot(made)
    made.update()
    moved = changed(before, snapshot(made))
    assert {"critic", "target_critic"} <= moved
    assert all(name.startswith(("critic", "target_critic")) for name in moved)


def test_an_actor_update_leaves_the_critics_alone(algorithm: Variant) -> None:
    made = learner(algorithm, critic_updates_per_step=0)
    before = snapshot(made)
    made.update()
    moved = changed(before, snapshot(made))
    assert not any(name.startswith(("critic", "target_critic")) for name in moved)
    assert moved


def test_a_fixed_temperature_stays_fixed(algorithm: Variant) -> None:
    made = learner(algorithm, temperature=0.2)
    before = snapshot(made)
    made.update()
    assert not any("temperature" in name for name in changed(before, snapshot(made)))
    assert made.take_metrics()["temperature"] == pytest.approx(0.2)


def test_the_automatic_temperature_falls_while_entropy_is_above_its_target(algorithm: Variant) -> None:
    for target, sign in ((-50.0, -1), (50.0, 1)):
        made = learner(algorithm, target_entropy=target, initial_temperature=1.0)
        iterate(made, 2)
        sign *= made.config.temperature == "auto"  # a reading without a regulariser has none
        assert made.state.log_temperature.sign().item() == sign


def test_frozen_copies_change_only_at_a_refresh(algorithm: Variant) -> None:
    made = learner(algorithm)
    frozen = {name for name, _ in named_leaves(made.state) if name.startswith("old_")}
    iteration = sum(count for _, count in algorithm.schedule(made.config))
    for update in range(1, 2 * iteration + 1):
        before = snapshot(made)
        made.update()
        after = snapshot(made)
        assert bool(frozen & changed(before, after)) == (bool(frozen) and update % iteration == 0)
    for name in frozen:
        assert torch.equal(after[name], after[name.removeprefix("old_")])
        assert getattr(made.state, name).data_ptr() != getattr(made.state, name.removeprefix("old_")).data_ptr()


def test_step_functions_are_pure(algorithm: Variant) -> None:
    """A step returns new tensors and changes none of its arguments: the whole state is the checkpoint."""
    made = learner(algorithm)
    before = snapshot(made)
    rows = made.replay.sample(made.update_generator).clone()
    noise = torch.randn(made._noise_shape)
    batch = Batch.unpack(rows, algorithm.spaces)
    for step in (algorithm.critic_step, *(algorithm.PHASES[phase] for phase, _ in algorithm.schedule(made.config))):
        with torch.no_grad():
            first, _ = step(made.model, made.state, batch, noise, made.coefficients)
            second, _ = step(made.model, made.state, batch, noise, made.coefficients)
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(named_leaves(first), named_leaves(second), strict=True))
    assert changed(before, snapshot(made)) == set()


def test_the_state_of_another_kind_of_device_is_taken_up(algorithm: Variant) -> None:
    """Its generator's state, here one of CUDA's in size, is of no use; everything else is."""
    made, other = learner(algorithm), learner(algorithm, seed=5)
    for _ in range(13):
        made.update()
    other.restore(made.tensors() | {"update_generator": torch.zeros(16, dtype=torch.uint8)}, made.counters())
    after = snapshot(other)
    assert changed(snapshot(made), after) == set()
    other.update()
    assert changed(after, snapshot(other))


def test_state_survives_a_round_trip(algorithm: Variant) -> None:
    made, other = learner(algorithm), learner(algorithm, seed=5)
    for _ in range(13):
        made.update()
    tensors = {name: tensor.clone() for name, tensor in made.tensors().items()}
    other.restore(tensors, made.counters())
    for _ in range(13):
        made.update()
        other.update()
    assert changed(snapshot(made), snapshot(other)) == set()
    assert made.take_metrics() == other.take_metrics()
    assert np.array_equal(made.act(np.ones(4)), other.act(np.ones(4)))


def test_diagnostics_are_means_over_all_updates(algorithm: Variant) -> None:
    """Sampled at one update they would be blind to their place in a policy iteration, such as a KL that begins at 0."""
    made, other = learner(algorithm), learner(algorithm)
    each: dict[str, list[float]] = {}
    for _ in range(16):
        made.update()
        other.update()
        for name, value in made.take_metrics().items():
            each.setdefault(name, []).append(value)
    means = other.take_metrics()
    assert set(means) >= {"critic_loss", "q", "actor_loss", "temperature", "entropy", "kl_old"}
    diagnosed = {"kl_old", "divergence", "dual_error", "network_error"}
    for name in set(means) - diagnosed:
        assert means[name] == pytest.approx(sum(each[name]) / len(each[name]), rel=1e-5)
    assert other.take_metrics() == {}


def test_the_end_of_an_iteration_is_diagnosed(algorithm: Variant) -> None:
    """Once in an interval, at the end of its first policy iteration, and without an effect on training."""
    made, blind = learner(algorithm), learner(algorithm)
    blind._diagnosed = True
    iterate(made)
    iterate(blind)
    first = made.take_metrics()
    assert 0 < first["kl_old"] < 1
    assert first.get("divergence", 1) > 0
    assert first.get("dual_error", 1) > 0
    assert "kl_old" not in blind.take_metrics()
    assert changed(snapshot(made), snapshot(blind)) == set()
    iterate(made, 2)
    iterate(blind, 2)
    assert changed(snapshot(made), snapshot(blind)) == set()
    assert made.take_metrics()["kl_old"] == blind.take_metrics()["kl_old"]  # that of the second, not of the third


@pytest.mark.parametrize("kind", algorithms.KINDS)
@pytest.mark.parametrize("name", algorithms.names())
def test_what_an_algorithm_declares_is_what_it_is_tested_for(name: str, kind: str) -> None:
    """All other tests of this file leave out what it does not handle."""
    if kind not in algorithms.actions_of(algorithms.load(name)):
        pytest.skip(f"{name} declares that it does not handle {kind} actions")
    assert not learns_from_replay(name) or any(v.name == name and v.spaces.kind == kind for v in variants())


def test_any_two_algorithms_differ_after_learning_starts() -> None:
    """Also where both begin alike and see the same minibatches and noise."""
    ends: dict[str, Tensor] = {}
    rows, noise = torch.rand(12, 16, sum(Batch.widths(CONTINUOUS))), torch.randn(12, 20, 16, CONTINUOUS.action)
    for variant in variants():
        made = learner(variant)
        iteration = [phase for phase, count in variant.schedule(made.config) for _ in range(count)]
        state = made.state
        for update in range(12):
            batch, K = Batch.unpack(rows[update], variant.spaces), variant.noise_samples(made.config)
            arguments = (batch, noise[update, :K], made.coefficients)
            state, _ = variant.critic_step(made.model, state, *arguments)
            state, _ = variant.PHASES[iteration[update % len(iteration)]](made.model, state, *arguments)
            if (update + 1) % len(iteration) == 0:
                state = variant.refresh(state)
        ends[variant.id] = state.actor.detach()
    for one, other in itertools.combinations(ends, 2):
        assert not torch.equal(ends[one], ends[other]), (one, other)


def test_nothing_is_learned_before_learning_starts(algorithm: Variant) -> None:
    made = learner(algorithm, learning_starts=41)
    before = snapshot(made)
    made.update()
    assert changed(before, snapshot(made)) == set()
    actions = np.stack([made.act(np.full(4, 1e3)) for _ in range(500)])
    if algorithm.spaces.choices:
        assert set(actions.ravel().tolist()) == {0.0, 1.0, 2.0}
    else:
        assert actions.min() < -0.9
        assert actions.max() > 0.9


@pytest.mark.parametrize(
    "choice",
    [
        {"layer_norm": True},
        {"critics": 1},
        {"critics": 5, "critic_reduction": "mean"},
        {"hidden_sizes": (8,)},
        {"activation": "silu"},
    ],
    ids=str,
)
def test_network_choices_train(algorithm: Algorithm, choice: dict[str, object]) -> None:
    made = learner(algorithm, **choice)
    before = snapshot(made)
    iterate(made)
    after = snapshot(made)
    assert {"actor", "critic"} <= changed(before, after)
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
