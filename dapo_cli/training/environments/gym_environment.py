"""Gymnasium environments, made quiet and seeded episode by episode."""

from __future__ import annotations

import contextlib
import importlib
import math
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

from algorithms.core.types import Spaces
from dapo_cli.errors import BadInput, did_you_mean, in_one_line
from dapo_cli.terminal.streams import prints_aside
from dapo_cli.training.environments.action_spaces import actions_of, wrapped

TRAINING, EVALUATION, DIAGNOSIS = 10, 11, 12  # streams of seeds; those of the learner are 0 to 3


class Environment:
    """One environment as the loop sees it: flat observations and actions, a reset seed for every episode.

    Episode n of a stream always begins from the same seed, whatever happened before it, so that a resumed run can
    rebuild its open episode by replaying its actions. A discrete observation becomes a one-hot vector; `bins` cuts
    continuous actions. With `filmed` it can be rendered; it plays the same.

    It is the border to code that is not ours. Arrays are copied both ways, so neither side sees what the other does to
    them later. Raises BadInput for an environment that cannot be trained on, for an answer that is not what its spaces
    promise, and in place of sys.exit(); whatever else the environment raises passes.
    """

    def __init__(self, env_id: str, seed: int, stream: int, *, bins: int = 0, filmed: bool = False) -> None:
        self._id, self._seed = env_id, (seed, stream)
        self._env = make(env_id, **({"render_mode": "rgb_array"} if filmed else {}))
        self._closed = False
        try:
            self._space = getattr(self._env, "observation_space", None)
            size = _width(self._space, env_id)
            self.actions = actions_of(_acted_in(self._env), env_id, bins)
        except BadInput:
            self.close()
            raise
        self.spaces = Spaces(size, self.actions.size, self.actions.choices)

    def reset(self, *episode: int) -> NDArray[Any]:
        """Begins the episode of that number (or of that tuple of numbers) and returns its first observation (S,)."""
        sequence = np.random.SeedSequence([*self._seed, *episode])
        seed = int(sequence.generate_state(1)[0])
        try:
            answer = self._ask("reset", seed=seed)
        except TypeError as error:
            if "unexpected keyword argument 'seed'" not in str(error):
                raise
            raise self._outdated("reset() takes no seed", "reset(seed=…) returns observation and info") from error
        if not (isinstance(answer, tuple | list) and len(answer) == 2):
            raise self._outdated("reset() returns no info", "reset(seed=…) returns observation and info")
        return self._vector(answer[0])

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[Any], float, bool, bool]:
        """Observation (S,), reward, terminated, truncated after an algorithm's action (A,)."""
        try:
            answer = self._ask("step", self.actions.to_environment(action))
            observation, reward, terminated, truncated, _ = answer
        except ValueError as error:
            if "expected 5, got 4" not in str(error):  # in a wrapper, such as TimeLimit, or here
                raise
            remedy = "step() returns observation, reward, terminated, truncated and info"
            raise self._outdated("step() returns 4 values", remedy) from error
        return self._vector(observation), self._number(reward), bool(terminated), bool(truncated)

    def render(self) -> NDArray[np.uint8]:
        """The current state as an image (height, width, 3). Raises whatever the environment's renderer raises."""
        return np.array(self._ask("render"), dtype=np.uint8)

    @property
    def frames_per_second(self) -> float:
        """How many steps make a second, as the environment says."""
        return float(self._env.metadata.get("render_fps") or 30)

    def close(self) -> str | None:
        """Frees what the environment holds, once. Returns what it raised meanwhile, which undoes no result."""
        if self._closed:
            return None
        self._closed = True
        try:
            self._ask("close")
        except Exception as error:  # whatever the environment's own code raises
            raised = "" if isinstance(error, BadInput) else f"{self._id}'s close() raised "
            return f"{raised}{in_one_line(error)}"
        return None

    def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self._env, method)(*arguments, **named)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # sys.exit(), or what no handler of errors shall see
            raise _left(f"{self._id}'s {method}()", error) from error

    def _outdated(self, what: str, remedy: str) -> BadInput:
        return BadInput(
            f"{self._id}'s {what}: it is written for Gym < 0.26, wrap it in a gymnasium.Wrapper whose {remedy}"
        )

    def _vector(self, observation: Any) -> NDArray[Any]:
        if isinstance(self._space, spaces.Discrete):
            return self._one_hot(observation, self._space)
        vector = np.array(observation)
        if vector.dtype != np.float32 and vector.dtype != np.float64:
            if vector.dtype.kind not in "fiub":
                raise BadInput(f"{self._id} observes {_shown(observation)}, which is no array of numbers: correct it")
            vector = vector.astype(np.float64)
        if vector.size != self.spaces.observation:
            raise BadInput(
                f"{self._id} observes an array of shape {vector.shape}, but its space has the shape "
                f"({self.spaces.observation},): correct its observation_space"
            )
        return vector.ravel()

    def _one_hot(self, observation: Any, space: spaces.Discrete[Any]) -> NDArray[np.float32]:
        array, first = np.asarray(observation), int(space.start)
        value = array.item() if array.size == 1 and array.dtype.kind in "fiub" else math.nan
        index = int(value) - first if math.isfinite(value) and int(value) == value else -1
        if not 0 <= index < space.n:
            raise BadInput(
                f"{self._id} observes {_shown(observation)}, but its space is the whole numbers {first} to "
                f"{first + space.n - 1}: correct its observation_space"
            )
        vector = np.zeros(self.spaces.observation, np.float32)
        vector[index] = 1.0
        return vector

    def _number(self, reward: Any) -> float:
        if not isinstance(reward, float | int):
            array = np.asarray(reward)
            if array.size != 1 or array.dtype.kind not in "fiub":
                raise BadInput(f"{self._id}'s reward is {_shown(reward)}: let step() return a single number")
            reward = array.item()
        return float(reward)


def spaces_of(env_id: str, bins: int) -> Spaces:
    """The sizes of an environment that is made for this and closed again. BadInput for one that cannot be trained on.

    What its close() raises is left to the runs to tell.
    """
    with prints_aside():
        environment = Environment(env_id, 0, TRAINING, bins=bins)
        environment.close()
    return environment.spaces


def _width(space: Any, env_id: str) -> int:
    """The size of the vectors that observations of this space become; BadInput if they cannot."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        if not space.shape[0]:
            raise BadInput(f"{env_id} observes nothing (a Box of shape (0,)): the algorithms need at least one number")
        return int(space.shape[0])
    seen = f"{env_id} observes a {type(space).__name__}{getattr(space, 'shape', None) or ''}"
    if getattr(space, "is_np_flattenable", False):
        raise BadInput(f"{seen}; the algorithms take vectors: {wrapped(env_id, 'FlattenObservation({})')}")
    raise BadInput(f"{seen}; the algorithms take vectors: wrap it in a gymnasium.Wrapper that makes one of it")


def _acted_in(env: gymnasium.Env[Any, Any]) -> Any:
    """The space to act in: below a ClipAction, which takes any number, the one that it clips to."""
    if getattr(env, "action_space", None) is None:
        return None
    while isinstance(env, gymnasium.Wrapper):
        passes = env.action_space is env.env.action_space and not isinstance(env, gymnasium.ActionWrapper)
        if not (passes or isinstance(env, gymnasium.wrappers.ClipAction)):
            break
        env = env.env
    return env.action_space


def _shown(value: Any) -> str:
    """A value of an environment, short and in one line."""
    shape = getattr(value, "shape", ())
    return f"an array of shape {shape}" if shape else " ".join(repr(value).split())[:60]


def _left(place: str, error: BaseException) -> BadInput:
    """What to say of code that ended the process, or tried to."""
    if isinstance(error, SystemExit):
        code = "" if error.code is None else " ".join(repr(error.code).split())
        return BadInput(f"{place} called sys.exit({code}): let it raise an error that says what is wrong")
    return BadInput(f"{place} raised {in_one_line(error)}: correct it")


def make(env_id: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """The Gymnasium environment of that id, without the notices that a user of `*-v4` cannot act on.

    `module:Env-v0` imports the module first, so such an id must come from the user and never from a database alone.
    """
    module, colon, name = env_id.rpartition(":")
    if module:
        import_module(module)
    elif colon:
        raise BadInput(f"unknown environment '{env_id}': write {name}, or module:{name} with the module's name")
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the environment's own code raises, also sys.exit()
            if not isinstance(error, Exception):
                raise _left(f"cannot make {env_id}: it", error) from error
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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module's own code raises, also sys.exit()
        if not isinstance(error, Exception):
            raise _left(f"cannot import '{name}': it", error) from error
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
