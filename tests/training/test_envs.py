"""The border to environments: what crosses it is copied and checked, and what an environment does wrong is said."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dapo_cli.errors import BadInput
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.environments.gym_environment import Environment


class Made(gymnasium.Env[Any, Any]):
    """An environment of which a test says what it is."""

    observation_space: Any = spaces.Box(-1, 1, (2,))
    action_space: Any = spaces.Box(-1, 1, (1,))
    observed: Any = np.zeros(2, np.float32)
    reward: Any = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:  # noqa: ARG002
        return copy.deepcopy(self.observed), {}

    def step(self, action: Any) -> Any:  # noqa: ARG002
        return copy.deepcopy(self.observed), self.reward, False, False, {}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Environment]:
    """Makes a `Made` with these attributes, behind the wrappers that Gymnasium puts around an environment."""

    def make(wrap: Callable[[Any], Any] = lambda env: env, **attributes: Any) -> Environment:
        monkeypatch.setitem(gymnasium.registry, "Made-v0", None)
        monkeypatch.delitem(gymnasium.registry, "Made-v0")
        kind = type("Kind", (Made,), attributes)
        gymnasium.register("Made-v0", entry_point=lambda: wrap(kind()), max_episode_steps=9)
        return Environment("Made-v0", 0, gym_environment.TRAINING)

    return make


ACTION = np.zeros(1, np.float32)


@pytest.mark.parametrize("reward", [3, 3.0, np.float32(3), np.array(3.0), np.array([3.0]), [3], np.array([[3]])])
def test_a_reward_of_one_number_is_that_number(make: Callable[..., Environment], reward: Any) -> None:
    environment = make(reward=reward)
    environment.reset(0)
    _, given, _, _ = environment.step(ACTION)
    assert type(given) is float
    assert given == 3.0


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"reward": np.zeros(2)}, r"Made-v0's reward is an array of shape \(2,\): let step\(\) return a single number"),
        ({"reward": None}, "reward is None"),
        ({"observed": np.zeros(3)}, r"observes an array of shape \(3,\), but its space has the shape \(2,\)"),
        ({"observed": {"a": 1}}, r"observes \{'a': 1\}, which is no array of numbers"),
        ({"observation_space": spaces.Discrete(5, start=2), "observed": 1}, "observes 1, .* whole numbers 2 to 6"),
        ({"observation_space": spaces.Discrete(5, start=2), "observed": 7}, "observes 7, .* whole numbers 2 to 6"),
        ({"observation_space": spaces.Discrete(5), "observed": 1.5}, "observes 1.5"),
        ({"observation_space": spaces.Discrete(5), "observed": np.zeros(2)}, r"observes an array of shape \(2,\)"),
        ({"reset": lambda _, **__: np.zeros(2)}, r"reset\(\) returns no info: .* Gym < 0.26, wrap it"),
        ({"reset": lambda _: np.zeros(2)}, r"reset\(\) takes no seed: .* Gym < 0.26, wrap it"),
        ({"step": lambda *_: (np.zeros(2), 0.0, False, {})}, r"step\(\) returns 4 values: .* Gym < 0.26, wrap it"),
    ],
)
def test_an_answer_that_is_not_what_was_promised_is_one_line(
    make: Callable[..., Environment], attributes: dict[str, Any], message: str
) -> None:
    environment = make(**attributes)

    def play() -> None:
        environment.reset(0)
        environment.step(ACTION)

    with pytest.raises(BadInput, match=message) as caught:
        play()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "observed", [[1.0, 2.0], np.array([[1], [2]], np.uint8), np.array([1, 2], ">f4"), np.array([1, 2], np.float16)]
)
def test_any_array_of_as_many_numbers_is_an_observation(make: Callable[..., Environment], observed: Any) -> None:
    """Whatever its shape and its type, which is exact in the one that it gets."""
    given = make(observed=observed).reset(0)
    assert given.tolist() == [1.0, 2.0]
    assert given.dtype == np.float64


def test_a_discrete_observation_may_be_any_whole_number(make: Callable[..., Environment]) -> None:
    for observed in (4, np.int8(4), np.array([4]), 4.0):
        environment = make(observation_space=spaces.Discrete(5, start=2), observed=observed)
        assert environment.reset(0).tolist() == [0, 0, 1, 0, 0]


FLOAT32, FLOAT64 = float(np.finfo(np.float32).max), float(np.finfo(np.float64).max)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"action_space": spaces.Box(-FLOAT64, FLOAT64, (2,), np.float64)}, "unbounded actions"),
        ({"action_space": spaces.Box(-FLOAT32, FLOAT32, (2,), np.float64)}, "unbounded actions"),
        ({"action_space": spaces.Box(-FLOAT32, FLOAT32, (2,))}, "unbounded actions"),
        ({"action_space": spaces.Box(-np.inf, 1, (2,))}, "unbounded actions"),
        ({"action_space": spaces.Box(-1, 1, (0,))}, "there is nothing to learn"),
        ({"observation_space": spaces.Box(-1, 1, (0,))}, r"observes nothing .*: .* at least one number"),
        (
            {"observation_space": spaces.Sequence(spaces.Discrete(2))},
            "observes a Sequence.*: wrap it in a gymnasium.Wrapper",
        ),
        ({"observation_space": None}, "observes a NoneType"),
        ({"action_space": None}, "has NoneType actions"),
        ({"__init__": lambda _: sys.exit(3)}, r"cannot make Made-v0: it called sys.exit\(3\)"),
    ],
)
def test_what_cannot_be_trained_on(make: Callable[..., Environment], attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        make(**attributes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "attributes",
    [
        {"action_space": spaces.Box(-np.inf, np.inf, (2,))},
        {"observation_space": spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(-1, 1, (2,))})},
        {"observation_space": spaces.Box(0, 255, (4, 4, 3), np.uint8)},
    ],
)
def test_the_line_of_a_refusal_makes_an_environment_that_works(
    make: Callable[..., Environment], attributes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = attributes.get("observation_space", Made.observation_space)
    space.seed(0)
    with pytest.raises(BadInput, match="train --env my_module:My-v0") as caught:
        make(observed=space.sample(), **attributes)
    line = str(caught.value).partition("its line is: ")[2]
    (tmp_path / "my_module.py").write_text(f"import gymnasium\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    environment = Environment("my_module:My-v0", 0, gym_environment.TRAINING)
    gymnasium.registry.pop("My-v0")
    assert environment.reset(0).shape == (environment.spaces.observation,)
    environment.step(np.zeros(environment.spaces.action, np.float32))


class MyOldEnvironment(gymnasium.Env[Any, Any]):
    """As Gym was before 0.26."""

    observation_space: Any = spaces.Box(-1, 1, (2,))
    action_space: Any = spaces.Box(-1, 1, (1,))

    def seed(self, seed: int) -> None:
        self.value = seed / 2**32

    def reset(self) -> Any:  # type: ignore[override]
        return np.full(2, self.value)

    def step(self, _: Any) -> Any:
        return np.full(2, self.value), 1.0, True, {"TimeLimit.truncated": True}


def test_the_documented_wrapper_brings_an_old_environment_up_to_date() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    code = page.partition("needs this wrapper:")[2].partition("```python")[2].partition("```")[0]
    exec(code, {"MyOldEnvironment": MyOldEnvironment})
    environment = Environment("My-v0", 0, gym_environment.TRAINING)
    gymnasium.registry.pop("My-v0")
    first = environment.reset(0)
    assert 0 < first[0] < 1
    observation, reward, terminated, truncated = environment.step(ACTION)
    assert observation.tolist() == first.tolist()
    assert (reward, terminated, truncated) == (1.0, False, True)


def test_clipped_actions_are_those_of_the_environment_below(make: Callable[..., Environment]) -> None:
    acted = []
    attributes = {
        "action_space": spaces.Box(np.float32([-2, 0]), np.float32([2, 5])),
        "step": lambda _, action: (acted.append(action), (np.zeros(2), 0.0, False, False, {}))[1],
    }
    clip = gymnasium.wrappers.ClipAction
    for wrap in (clip, lambda env: clip(clip(env)), lambda env: gymnasium.wrappers.TimeLimit(clip(env), 5)):
        environment = make(wrap, **attributes)
        environment.reset(0)
        environment.step(np.float32([1, 1]))
        assert acted.pop().tolist() == [2, 5]
    with pytest.raises(BadInput, match="unbounded"):  # what another wrapper does with them, nobody can tell
        make(lambda env: gymnasium.wrappers.TransformAction(env, np.tanh, spaces.Box(-np.inf, np.inf, (2,))))


def test_a_module_must_be_named() -> None:
    with pytest.raises(BadInput, match="unknown environment ':Pendulum-v1': write Pendulum-v1, or module:Pendulum-v1"):
        gym_environment.make(":Pendulum-v1")


def test_a_module_that_leaves_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaving_module.py").write_text("import sys\nsys.exit('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match=r"cannot import 'leaving_module': it called sys.exit\('no licence'\)"):
        gym_environment.make("leaving_module:Env-v0")
