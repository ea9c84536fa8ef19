"""From an algorithm's action to the environment's: the one place that knows kinds of action spaces."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dapo_cli.errors import BadInput


class Actions(Protocol):
    """How an algorithm's action (size,) becomes an environment's; `choices`: of each coordinate, 0 if continuous.

    What an environment is given is a new array each time.
    """

    size: int
    choices: int

    def to_environment(self, action: NDArray[np.float32]) -> Any:
        """The environment's action for an algorithm's of shape (size,)."""


class BoxActions:
    """Continuous actions: each coordinate of [-1, 1] is stretched onto the bounds of the Box.

    The environment's action is `centre + half * action`, both (size,) in float64, in the Box's `shape` and `dtype`.
    """

    choices = 0

    def __init__(self, space: spaces.Box) -> None:
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.size = int(np.prod(space.shape))
        self.shape, self.dtype = space.shape, space.dtype
        self.centre, self.half = ((high + low) / 2).ravel(), ((high - low) / 2).ravel()
        self._as_is = bool(
            np.all(low == -1) and np.all(high == 1) and space.dtype == np.float32 and len(space.shape) == 1
        )

    def to_environment(self, action: NDArray[np.float32]) -> NDArray[Any]:
        """The environment's action for a normalised one of shape (size,)."""
        if self._as_is:
            return action.copy()  # what the environment does to it must not reach the learner
        return (self.centre + self.half * action).astype(self.dtype).reshape(self.shape)


class BinnedActions:
    """Continuous actions of which each coordinate is cut into bins: choice i of n is -1 + 2 i / (n - 1) of [-1, 1]."""

    def __init__(self, box: BoxActions, bins: int) -> None:
        self._box, self.size, self.choices = box, box.size, bins
        self.shape, self.dtype = box.shape, box.dtype

    def to_environment(self, action: NDArray[np.float32]) -> NDArray[Any]:
        """The environment's action for choices of shape (size,)."""
        return self._box.to_environment((2 * action / (self.choices - 1) - 1).astype(np.float32))

    @property
    def values(self) -> NDArray[np.float32]:
        """The environment's value of every choice, (size, choices)."""
        rows = (np.full(self.size, choice, np.float32) for choice in range(self.choices))
        return np.stack([self.to_environment(row).ravel() for row in rows], -1).astype(np.float32)


class DiscreteActions:
    """The choices of a Discrete space, counted from 0."""

    size = 1

    def __init__(self, space: spaces.Discrete) -> None:
        self.choices, self._start = int(space.n), int(space.start)
        self.shape, self.dtype = space.shape, space.dtype

    def to_environment(self, action: NDArray[np.float32]) -> int:
        """The environment's action for a choice of shape (1,)."""
        return self._start + int(action[0])

    @property
    def values(self) -> NDArray[np.float32]:
        """The environment's value of every choice, (1, choices)."""
        return self._start + np.arange(self.choices, dtype=np.float32)[None]


def actions_of(space: spaces.Space[Any], env_id: str, bins: int = 0) -> Actions:
    """How to act in this space, its coordinates cut into `bins`. Raises BadInput for one that no algorithm supports."""
    if isinstance(space, spaces.Discrete):
        if bins:
            raise BadInput(f"{env_id} has {space.n} discrete actions: leave bins out, it cuts continuous ones")
        if space.n < 2:
            raise BadInput(f"{env_id} has a single action: there is nothing to learn")
        return DiscreteActions(space)
    if not isinstance(space, spaces.Box):
        kind = type(space).__name__
        raise BadInput(f"{env_id} has {kind} actions; the algorithms take Box, as HalfCheetah-v4, or Discrete ones")
    if not np.issubdtype(space.dtype, np.floating):
        raise BadInput(f"{env_id} has Box actions of {space.dtype}; the algorithms take floating-point ones")
    if not np.prod(space.shape):
        raise BadInput(
            f"{env_id} has Box actions of shape {space.shape}, which hold no number: there is nothing to learn"
        )
    # The largest number stands for infinity, too: nobody acts so far out, and the width of such a Box overflows.
    largest = min(np.finfo(space.dtype).max, np.finfo(np.float32).max)
    if not (np.all(space.low > -largest) and np.all(space.high < largest)):
        bounded = f"TransformAction({{}}, lambda a: a, gymnasium.spaces.Box(-1, 1, {space.shape}))"
        raise BadInput(f"{env_id} has unbounded actions; the algorithms need bounds: {wrapped(env_id, bounded)}")
    return BinnedActions(BoxActions(space), bins) if bins else BoxActions(space)


def wrapped(env_id: str, wrapper: str) -> str:
    """The remedy of an environment that needs a wrapper of Gymnasium's, `wrapper` with a place `{}` for it."""
    inner = wrapper.format(f"gymnasium.make('{env_id}')")
    return (
        "register a wrapped one in a module my_module.py and train --env my_module:My-v0; its line is: "
        f"gymnasium.register('My-v0', entry_point=lambda: gymnasium.wrappers.{inner})"
    )
