"""From a policy's normalised action to the environment's: the one place that knows kinds of action spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dapo_cli.errors import BadInput


class BoxActions:
    """Continuous actions: each coordinate of [-1, 1] is stretched onto the bounds of the Box.

    The environment's action is `centre + half * action`, both (size,) in float64, in the Box's `shape` and `dtype`.
    """

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
            return action
        return (self.centre + self.half * action).astype(self.dtype).reshape(self.shape)


def actions_of(space: spaces.Space[Any], env_id: str) -> BoxActions:
    """How to act in this space. Raises BadInput for one that no algorithm here supports."""
    if not isinstance(space, spaces.Box):
        kind = type(space).__name__
        raise BadInput(f"{env_id} has {kind} actions; the algorithms take continuous ones (Box), as in HalfCheetah-v4")
    if not np.issubdtype(space.dtype, np.floating):
        raise BadInput(f"{env_id} has Box actions of {space.dtype}; the algorithms take floating-point ones")
    if not space.is_bounded("both"):
        raise BadInput(f"{env_id} has unbounded actions: wrap it in gymnasium.wrappers.RescaleAction or ClipAction")
    return BoxActions(space)
