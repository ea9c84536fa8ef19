"""Gymnasium environments, made quiet and seeded episode by episode."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import Error as GymnasiumError
from numpy.typing import NDArray

from algorithms._types import Spaces
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.training.actions import actions_of

TRAINING, EVALUATION, DIAGNOSIS = 10, 11, 12  # streams of seeds; those of the learner are 0 to 3


class Environment:
    """One environment as the loop sees it: flat observations and actions, a reset seed for every episode.

    Episode n of a stream always begins from the same seed, whatever happened before it, so that a resumed run can
    rebuild its open episode by replaying its actions. Raises BadInput for an environment that cannot be trained on.
    A discrete observation becomes a one-hot vector; `bins` cuts continuous actions. With `filmed` it can be rendered;
    it plays the same.
    """

    def __init__(self, env_id: str, seed: int, stream: int, *, bins: int = 0, filmed: bool = False) -> None:
        self._env = make(env_id, **({"render_mode": "rgb_array"} if filmed else {}))
        space = self._env.observation_space
        self._first: int | None = None  # of discrete observations
        try:
            if isinstance(space, spaces.Discrete):
                self._first, size = int(space.start), int(space.n)
            elif isinstance(space, spaces.Box) and len(space.shape) == 1:
                size = space.shape[0]
            else:
                shape = getattr(space, "shape", None) or ""
                raise BadInput(
                    f"{env_id} observes a {type(space).__name__}{shape}; the algorithms take vectors: "
                    "wrap it in gymnasium.wrappers.FlattenObservation"
                )
            self.actions = actions_of(self._env.action_space, env_id, bins)
        except BadInput:
            self.close()
            raise
        self.spaces = Spaces(size, self.actions.size, self.actions.choices)
        self._seed = (seed, stream)

    def reset(self, *episode: int) -> NDArray[Any]:
        """Begins the episode of that number (or of that tuple of numbers) and returns its first observation (S,)."""
        sequence = np.random.SeedSequence([*self._seed, *episode])
        observation, _ = self._env.reset(seed=int(sequence.generate_state(1)[0]))
        return self._vector(observation)

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[Any], float, bool, bool]:
        """Observation (S,), reward, terminated, truncated after an algorithm's action (A,)."""
        observation, reward, terminated, truncated, _ = self._env.step(self.actions.to_environment(action))
        return self._vector(observation), float(reward), bool(terminated), bool(truncated)

    def _vector(self, observation: Any) -> NDArray[Any]:
        if self._first is None:
            return observation  # type: ignore[no-any-return]
        vector = np.zeros(self.spaces.observation, np.float32)
        vector[int(observation) - self._first] = 1.0
        return vector

    def render(self) -> NDArray[np.uint8]:
        """The current state as an image (height, width, 3). Raises whatever the environment's renderer raises."""
        return np.asarray(self._env.render(), dtype=np.uint8)

    @property
    def frames_per_second(self) -> float:
        """How many steps make a second, as the environment says."""
        return float(self._env.metadata.get("render_fps") or 30)

    def close(self) -> None:
        """Frees what the environment holds."""
        self._env.close()


def make(env_id: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """The Gymnasium environment of that id, without the notices that a user of `*-v4` cannot act on.

    `module:Env-v0` imports the module first, so such an id must come from the user and never from a database alone.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        import_module(module)
    try:
        spec = gymnasium.spec(name)
    except (GymnasiumError, ValueError) as error:
        names = [name for name in gymnasium.registry if "/" not in name]
        raise BadInput(f"unknown environment '{env_id}': {did_you_mean(name, names)}") from error
    if "mujoco" in str(spec.entry_point):
        _hush_mujoco()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*environment .* is out of date", category=DeprecationWarning)
        # A render mode that an environment does not name either works all the same or is refused by its own code.
        warnings.filterwarnings("ignore", message=r".*render_mode.* that is not in the possible")
        try:
            return gymnasium.make(spec, disable_env_checker=True, **kwargs)
        except Exception as error:  # whatever the environment's own code raises
            cause = " ".join(str(error).split()) or type(error).__name__
            if (chosen := os.environ.get("MUJOCO_GL")) and re.search("GL|gl[A-Z]", cause):
                cause += f": MUJOCO_GL is '{chosen}', which does not work here: unset it"
            raise BadInput(f"cannot make {env_id}: {cause}") from error


def require_permission(env_id: str, modules: Sequence[str]) -> None:
    """Raises BadInput if making this environment would import a module that is not among those the user allows."""
    module = env_id.rpartition(":")[0]
    if module and module not in modules:  # a database must not make us run code
        raise BadInput(
            f"this run's environment is in the module '{module}': if you trust it, add --import {shlex.quote(module)}"
        )


def import_module(name: str) -> None:
    """Imports a module that registers environments; raises BadInput if that fails."""
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever the module's own code raises
        cause = " ".join(str(error).split())
        raise BadInput(f"cannot import '{name}' ({cause}): install it where dapo is, or correct the name") from error


def _hush_mujoco() -> None:
    """Sends MuJoCo's warnings to Python's, except a deprecated model attribute of Gymnasium's own files.

    By default MuJoCo prints them and appends them to MUJOCO_LOG.TXT in the user's directory.
    """
    with contextlib.suppress(Exception):  # then `gymnasium.make` says what is missing, or wrong with MUJOCO_GL
        import mujoco

        mujoco.set_mju_user_warning(_mujoco_warning)


def _mujoco_warning(message: str) -> None:
    if "settotalmass" not in message:
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)
