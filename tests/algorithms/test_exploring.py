"""An algorithm's own exploration: a pure function of what it is handed, whose memory is part of a checkpoint."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from variants import CONTINUOUS, FINITE, variants

import algorithms
from algorithms import sac
from algorithms.core.types import Exploring, Spaces
from algorithms.learner.base import named_leaves
from algorithms.learner.off_policy import OffPolicyLearner

SMALL = {"hidden_sizes": (8,), "batch_size": 4, "learning_starts": 8, "buffer_size": 64}


def ornstein_uhlenbeck(seen: Exploring, config: Any) -> Any:
    memory = 0.85 * seen.memory + 0.2 * seen.normal
    return seen.best + memory, memory


def epsilon_greedy(seen: Exploring, config: Any) -> Any:
    return (seen.random if seen.uniform < 0.2 else seen.best), seen.memory


def learner(explore: Any, spaces: Spaces, seed: int = 0, **choice: Any) -> OffPolicyLearner:
    module = SimpleNamespace(**{name: getattr(sac, name) for name in dir(sac)}, explore=explore)
    return OffPolicyLearner(module, sac.Config(**SMALL), spaces, seed, **choice)


def play(made: OffPolicyLearner, steps: int) -> np.ndarray:
    """The actions of so many steps in a made-up environment, with an episode's end at every tenth."""
    actions = []
    for _ in range(steps):
        number = made.replay.total
        rng = np.random.default_rng(number)
        s, s2 = rng.normal(size=(2, 4)).astype(np.float32)
        actions.append(made.act(s))
        made.add(s, actions[-1], float(rng.normal()), s2, number % 20 == 19, number % 20 == 9)
        made.update()
    return np.array(actions)


@pytest.mark.parametrize(("explore", "spaces"), [(ornstein_uhlenbeck, CONTINUOUS), (epsilon_greedy, FINITE)])
def test_a_restored_learner_explores_on_as_if_nothing_had_happened(explore: Any, spaces: Spaces) -> None:
    whole, first, second = (learner(explore, spaces, seed) for seed in (0, 0, 5))
    expected = play(whole, 40)
    begun = play(first, 25)
    tensors = {name: tensor.clone() for name, tensor in first.tensors().items()}
    second.replay.write(0, first.replay.read(0, 25))
    second.restore(tensors, first.counters())
    assert np.array_equal(expected, np.concatenate([begun, play(second, 15)]))
    for (name, one), (_, other) in zip(named_leaves(whole.state), named_leaves(second.state), strict=True):
        assert one.equal(other), name


def test_what_the_function_is_given() -> None:
    seen: list[Exploring] = []

    def explore(one: Exploring, config: Any) -> Any:
        seen.append(one)
        assert config.learning_starts == 8
        return np.array([7.0, -7.0]), np.full(2, one.step)

    made = learner(explore, CONTINUOUS)
    actions = play(made, 22)
    assert [one.step for one in seen] == list(range(8, 22))  # uniformly random before the first update
    assert [one.memory.tolist() for one in seen[:4]] == [[0, 0], [8, 8], [0, 0], [10, 10]]  # an episode ended at 9
    assert actions[8:].tolist() == [[1, -1]] * 14
    assert actions.dtype == np.float32
    for one in seen:
        assert {part.shape for part in one[:4]} == {(2,)}
        assert 0 <= one.uniform < 1
        assert not np.array_equal(one.best, one.drawn)
    assert len({one.uniform for one in seen}) == len(seen)


def test_a_result_of_another_shape_is_refused() -> None:
    made = learner(lambda seen, _: (seen.best[:1], seen.memory), CONTINUOUS)
    with pytest.raises(ValueError, match=r"explore must return an action and a memory of shape \(2,\) each"):
        play(made, 10)


def test_without_it_nothing_changes() -> None:
    plain = OffPolicyLearner(sac, sac.Config(**SMALL), CONTINUOUS, 0)
    assert "memory" not in plain.counters()
    assert not np.array_equal(play(plain, 12), play(learner(ornstein_uhlenbeck, CONTINUOUS), 12))


@pytest.mark.slow
def test_compiled_explores_as_eager_does() -> None:
    eager, compiled = (learner(ornstein_uhlenbeck, CONTINUOUS, compiled=mode) for mode in (False, True))
    np.testing.assert_allclose(play(compiled, 25), play(eager, 25), rtol=1e-4, atol=1e-5)


def test_the_contract_leaves_out_what_an_algorithm_does_not_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("only_continuous")
    vars(module).update({name: getattr(sac, name) for name in dir(sac) if not name.startswith("__")})
    module.ACTIONS = {"continuous"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_continuous", module)
    monkeypatch.setattr(algorithms, "_modules", lambda: {"mine": "only_continuous", "sac": "algorithms.sac"})
    assert {(one.name, one.spaces.kind) for one in variants()} == {
        ("mine", "continuous"),
        ("sac", "continuous"),
        ("sac", "finite"),
    }
