"""The training loop, the only one. It knows no algorithm, and no algorithm knows it."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms._learner import Learner, named_leaves
from dapo_cli.config import Settings
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.envs import DIAGNOSIS, Environment
from dapo_cli.training.evaluation import evaluate
from dapo_cli.training.overestimation import overestimation
from dapo_cli.training.signals import Stop
from store.recorder import Recorder

DISPLAY_SECONDS = 0.5


class Diverged(Exception):
    """A loss or an action is no longer finite, or the environment returned something that is not."""


class StoppedBySignal(Exception):
    """The user or the system asked the run to stop; its checkpoint is written."""


@dataclass
class Progress:
    """What a display shows of a run that is under way."""

    steps: int
    step: int = 0
    updating_since: tuple[int, float] | None = (
        None  # step and time of the first update of this process, compilation over
    )
    compiling: bool = False  # the first update of this process is under way, and may take a while
    episode: int = 0
    wall_time: float = 0.0
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    evaluation: tuple[int, float, float] | None = None  # step, mean and standard deviation of the return
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def speed(self) -> float | None:
        """Environment steps per second since the first update; None before it can be told."""
        if self.updating_since is None:
            return None
        step, since = self.updating_since
        elapsed = time.perf_counter() - since
        return (self.step - step) / elapsed if elapsed > 1 and self.step > step else None


class Display(Protocol):
    """Where progress goes."""

    def update(self, progress: Progress) -> None:
        """Called about every DISPLAY_SECONDS."""

    def evaluated(self, progress: Progress) -> None:
        """Called after each evaluation."""

    def say(self, message: str) -> None:
        """A line that must not get lost."""


class Loop:
    """One run in one process: from a fresh start or a checkpoint to the last step, a signal or a divergence."""

    def __init__(
        self,
        settings: Settings,
        learner: Learner,
        environments: tuple[Environment, Environment],
        recorder: Recorder,
        checkpoints: Checkpoints,
        fingerprint: dict[str, Any],
        display: Display,
        stop: Stop,
    ) -> None:
        self.settings, self.learner, self.recorder, self.checkpoints = settings, learner, recorder, checkpoints
        self.environment, self.evaluation_environment = environments
        self.fingerprint, self.display, self.stop = fingerprint, display, stop
        self.progress = Progress(settings.steps)
        self._episode_return = 0.0
        self._actions: list[NDArray[np.float32]] = []  # of the open episode: resume replays them
        self._observation: NDArray[Any] = np.zeros(0)
        self._began = 0.0
        self._saved: int | None = None  # step of the last checkpoint
        self._evaluation_due = False  # the evaluation at this step is not on record yet

    def restore(self, loaded: Loaded) -> bool:
        """Goes back to a checkpoint; the open episode is played again. Returns whether it came out as it was."""
        loop, tensors = loaded.loop, loaded.tensors
        self.progress.step = self._saved = loaded.step
        self.progress.episode = loop["episode"]
        self.progress.wall_time = loop["wall_time"]
        self._episode_return = loop["episode_return"]
        self._evaluation_due = loop.get("evaluation_due", False)
        self._observation = self.environment.reset(self.progress.episode)
        self._actions = list(tensors["episode_actions"].numpy())
        over = False
        for action in self._actions:
            self._observation, _, terminated, truncated = self.environment.step(action)
            over = terminated or truncated
        if over:  # nothing can go on from here but the next episode
            self._actions, self._episode_return = [], 0.0
            return False
        return np.array_equal(self._observation, tensors["observation"].numpy())

    def run(self) -> None:
        """Trains until the budget is spent. Raises Diverged, StoppedBySignal, or what store and environment raise."""
        progress = self.progress
        self._began = time.perf_counter() - progress.wall_time
        if not self._actions:
            self._observation = self.environment.reset(progress.episode)
        try:
            self._run()
        except Diverged as error:
            good = "there is none" if self._saved is None else f"that of step {self._saved}"
            raise Diverged(f"{error}; last good checkpoint: {good}") from error
        finally:  # however it ends, the record says how far it came
            progress.wall_time = time.perf_counter() - self._began
            self.recorder.progress(progress.step, progress.wall_time)

    def _run(self) -> None:
        progress, settings, learner = self.progress, self.settings, self.learner
        next_display = 0.0
        if self._evaluation_due:  # an earlier session was stopped in the midst of it
            self._evaluate()
            self._saved = None  # the checkpoint of this step says that it is due
        while progress.step < settings.steps:
            if progress.updating_since is None and learner.about_to_update:
                progress.compiling = True
                self.display.update(progress)
            self._step()
            progress.step += 1
            if progress.compiling:
                progress.compiling = False
                progress.updating_since = (progress.step, time.perf_counter())
            if progress.step % settings.log_every == 0 or progress.step == settings.steps:
                self._log_metrics()
            if progress.step == settings.steps or (settings.eval_every and progress.step % settings.eval_every == 0):
                self._evaluate()
            now = time.perf_counter()
            if now >= next_display:
                next_display = now + DISPLAY_SECONDS
                progress.wall_time = now - self._began
                self.recorder.progress(progress.step, progress.wall_time)
                self.display.update(progress)
            if self.stop.requested:
                self.save()
                raise StoppedBySignal
            if settings.checkpoint_every and progress.step % settings.checkpoint_every == 0:
                self.save()
        self.save()

    def _step(self) -> None:
        learner, observation = self.learner, self._observation
        action = learner.act(observation)
        if not np.isfinite(action).all():
            raise Diverged(f"the policy's action at step {self.progress.step} is not finite")
        next_observation, reward, terminated, truncated = self.environment.step(action)
        if not (math.isfinite(reward) and np.isfinite(next_observation).all()):
            raise Diverged(f"the environment's reward or observation at step {self.progress.step} is not finite")
        learner.add(observation, action, reward, next_observation, terminated, truncated)
        self._observation = next_observation
        self._episode_return += reward
        self._actions.append(action)
        learner.update()
        if terminated or truncated:
            self._end_episode(terminated, truncated)

    def _end_episode(self, terminated: bool, truncated: bool) -> None:
        progress = self.progress
        progress.wall_time = time.perf_counter() - self._began
        self.recorder.episode(
            progress.episode,
            progress.step + 1,
            self._episode_return,
            len(self._actions),
            progress.wall_time,
            terminated,
            truncated,
        )
        progress.returns.append(self._episode_return)
        progress.episode += 1
        self._episode_return, self._actions = 0.0, []
        self._observation = self.environment.reset(progress.episode)

    def _log_metrics(self) -> None:
        """Records the diagnostics' means since the last time; raises Diverged if a loss is no longer finite."""
        # At the end of a run the interval may be unfinished: one that goes on from there finishes it.
        metrics = self.learner.take_metrics(keep=self.progress.step % self.settings.log_every != 0)
        if not metrics:
            return
        self.progress.metrics = metrics
        self.recorder.metrics(self.progress.step, metrics)
        for name, value in metrics.items():
            if name.endswith("_loss") and not math.isfinite(value):
                raise Diverged(f"{name} at step {self.progress.step} is {value}")

    def _evaluate(self) -> None:
        progress, settings = self.progress, self.settings
        environment, episodes = self.evaluation_environment, settings.eval_episodes
        self._evaluation_due = True
        self.recorder.progress(progress.step, time.perf_counter() - self._began)  # should it never end
        played = evaluate(self.learner, environment, progress.step, episodes, watch=self._answer)
        measured: dict[str, float] = {}
        if self.learner.updating:
            generator = np.random.default_rng([settings.seed, DIAGNOSIS, progress.step])
            after = (progress.step, episodes)  # an episode that is none of those above
            measured = overestimation(self.learner, environment, generator, *after, watch=self._answer)
        for number, (return_, length) in enumerate(played):
            self.recorder.evaluation(progress.step, "mean", number, return_, length)
        self.recorder.metrics(progress.step, measured)
        self._evaluation_due = False
        returns = [episode.return_ for episode in played]
        spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
        progress.evaluation = (progress.step, float(np.mean(returns)), spread)
        progress.wall_time = time.perf_counter() - self._began
        self.display.evaluated(progress)

    def _answer(self, _: int = 0) -> None:
        """Between two steps of an evaluation: a signal need not wait for its end, which may never come."""
        if self.stop.requested:
            self.save()
            raise StoppedBySignal

    def save(self) -> None:
        """Writes a checkpoint of this moment, between two steps, if there is none of it yet. Diverged for a NaN."""
        progress = self.progress
        if progress.step == self._saved:
            return
        for name, tensor in named_leaves(self.learner.state):  # so that every checkpoint is one to go on from
            if tensor.is_floating_point() and tensor.isnan().any():
                raise Diverged(f"{name} at step {progress.step} is nan")
        progress.wall_time = time.perf_counter() - self._began
        self.recorder.progress(progress.step, progress.wall_time)
        self.recorder.flush()
        loop = {
            "episode": progress.episode,
            "episode_return": self._episode_return,
            "wall_time": progress.wall_time,
            "evaluation_due": self._evaluation_due,
        }
        actions = np.array(self._actions, dtype=np.float32).reshape(
            len(self._actions), self.learner.model.spaces.action
        )
        tensors = {
            "episode_actions": torch.from_numpy(actions),
            "observation": torch.from_numpy(np.array(self._observation)),
        }
        self._saved = progress.step
        self.checkpoints.save(progress.step, self.learner, loop, tensors, self.fingerprint)
