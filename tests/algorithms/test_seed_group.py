"""A group of seeds is its members alone, to rounding, and as a learner's every part but the update."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from variants import CONTINUOUS, Variant, variants

from algorithms.learner.base import named_leaves
from algorithms.learner.off_policy import OffPolicyLearner
from algorithms.learner.seed_group import SeedGroup

UPDATES = 9  # more than one policy iteration


def learners(variant: Variant, compiled: bool = False, seeds: int = 3) -> list[OffPolicyLearner]:
    choice = variant.switches | ({"m": 4} if "m" in variant.Config.model_fields else {})
    config = variant.Config(hidden_sizes=(16, 16), batch_size=16, learning_starts=8, buffer_size=64, **choice)
    made = [OffPolicyLearner(variant.module, config, variant.spaces, seed, compiled=compiled) for seed in range(seeds)]
    for learner in made:
        rng = np.random.default_rng(learner._seed)
        for _ in range(40):
            action = variant.some_action(rng)
            learner.replay.add(rng.normal(size=4), action, rng.normal(), rng.normal(size=4), rng.random() < 0.9)
    return made


def assert_same(alone: OffPolicyLearner, member: OffPolicyLearner) -> None:
    for (leaf, expected), (_, value) in zip(named_leaves(alone.state), named_leaves(member.state), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5, msg=lambda text, leaf=leaf: f"{leaf}: {text}")
    assert member.counters() == alone.counters()
    assert torch.equal(member.update_generator.get_state(), alone.update_generator.get_state())
    expected, measured = alone.take_metrics(keep=True), member.take_metrics(keep=True)
    assert measured == pytest.approx(expected, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize("variant", list(variants()), ids=lambda variant: variant.id)
def test_every_member_is_the_learner_it_would_be_alone(variant: Variant) -> None:
    """State to rounding, random numbers and counters exactly, whatever the width; slots do not touch each other."""
    alone, members = learners(variant), learners(variant)
    group = SeedGroup(members, width=4, batched=True)
    for _ in range(UPDATES):
        group.update()
        for learner in alone:
            learner.update()
    for one, member in zip(alone, members, strict=True):
        assert_same(one, member)
    assert not torch.equal(members[0].state.actor, members[1].state.actor)


@pytest.mark.parametrize("name", ["sac", "ampo"])
def test_on_a_cpu_it_is_that_to_the_bit(name: str) -> None:
    alone, members = (learners(Variant(name, CONTINUOUS)) for _ in range(2))
    group = SeedGroup(members, width=3)
    for _ in range(UPDATES):
        group.update()
        for learner in alone:
            learner.update()
    for one, member in zip(alone, members, strict=True):
        for (leaf, expected), (_, value) in zip(named_leaves(one.state), named_leaves(member.state), strict=True):
            assert torch.equal(value, expected), leaf
        assert member.counters() == one.counters()


def test_one_that_leaves_does_not_touch_the_others() -> None:
    variant = Variant("dapo-kl", CONTINUOUS)
    whole, broken = learners(variant), learners(variant)
    groups = SeedGroup(whole, 3, batched=True), SeedGroup(broken, 3, batched=True)
    for group in groups:
        group.update()
    broken[0].state.actor.fill_(torch.nan)
    groups[1].leave(broken[0])
    for _ in range(UPDATES):
        for group in groups:
            group.update()
    assert broken[0].actor_updates == 1
    for one, member in zip(whole[1:], broken[1:], strict=True):
        for (leaf, expected), (_, value) in zip(named_leaves(one.state), named_leaves(member.state), strict=True):
            assert torch.equal(value, expected), leaf


def test_a_member_acts_and_restores_as_it_is_in_the_group() -> None:
    """Actions follow the shared state, and a checkpoint of a member restores it in another group, to the bit."""
    variant = Variant("dapo-kl", CONTINUOUS)
    members, others = learners(variant), learners(variant)
    group, again = SeedGroup(members, 3, batched=True), SeedGroup(others, 3, batched=True)
    observation = np.ones(4, np.float32)
    before = members[1].policy_action(observation)
    for _ in range(UPDATES):
        group.update()
    assert not np.array_equal(members[1].policy_action(observation), before)
    for member, other in zip(members, others, strict=True):
        saved = {name: tensor.clone() for name, tensor in member.tensors().items()}
        other.restore(saved, member.counters())
    for _ in range(UPDATES):
        group.update()
        again.update()
    for member, other in zip(members, others, strict=True):
        for (leaf, expected), (_, value) in zip(named_leaves(member.state), named_leaves(other.state), strict=True):
            assert torch.equal(value, expected), leaf
        assert np.array_equal(member.policy_action(observation), other.policy_action(observation))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sac", "dapo-kl", "ampo"])
def test_the_compiled_group_is_the_eager_one(name: str) -> None:
    variant = Variant(name, CONTINUOUS)
    eager, compiled = learners(variant), learners(variant, compiled=True)
    groups = SeedGroup(eager, 3, batched=True), SeedGroup(compiled, 3, batched=True)
    for _ in range(UPDATES):
        for group in groups:
            group.update()
    for one, other in zip(eager, compiled, strict=True):
        assert_same(one, other)
