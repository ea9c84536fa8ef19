"""One run's part of the training loop: what happens around an update. `driving` calls it; neither knows algorithms."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.learner.base import Learner, named_leaves
from dapo_cli.configuration.run_configuration import Settings
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.environments.gym_environment import DIAGNOSIS, Environment
from dapo_cli.training.evaluation import evaluate
from dapo_cli.training.overestimation import overestimation
from dapo_cli.training.progress import Progress
from dapo_cli.training.signals import Stop
from store.records.recorder import Recorder


class Diverged(Exception):
    """A loss or an action is no longer finite, or the environment returned something that is not."""


class StoppedBySignal(Exception):
    """The user or the system asked the run to stop; its checkpoint is written."""


class Loop:
    """One run in one process: from a fresh start or a checkpoint to the last step, a signal or a divergence.

    After `begin`, each environment step is `advance`, an update of the learner (the caller's, who may update several
    learners as one) and `settle`, then `evaluate` and `save` where they are due.
    """

    def __init__(
        self,
        settings: Settings,
        learner: Learner,
        environments: tuple[Environment, Environment],
        recorder: Recorder,
        checkpoints: Checkpoints,
        fingerprint: dict[str, Any],
        stop: Stop,
    ) -> None:
        self.settings, self.learner, self.recorder, self.checkpoints = settings, learner, recorder, checkpoints
        self.environment, self.evaluation_environment = environments
        self.fingerprint, self.stop = fingerprint, stop
        self.progress = Progress(settings.steps)
        self.evaluation_due = False  # the evaluation at this step is not on record yet
        self._episode_return = 0.0
        self._ended = (False, False)  # the episode: terminated, truncated
        self._actions: list[NDArray[np.float32]] = []  # of the open episode: resume replays them
        self._observation: NDArray[Any] = np.zeros(0)
        self._began = 0.0
        self._saved: int | None = None  # step of the last checkpoint

    def restore(self, loaded: Loaded) -> bool:
        """Goes back to a checkpoint; the open episode is played again. Returns whether it came out as it was."""
        loop, tensors = loaded.loop, loaded.tensors
        self.progress.step = self._saved = loaded.step
        self.progress.episode = loop["episode"]
        self.progress.wall_time = loop["wall_time"]
        self._episode_return = loop["episode_return"]
        self.evaluation_due = loop.get("evaluation_due", False)
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

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.progress.step >= self.settings.steps

    @property
    def checkpoint_due(self) -> bool:
        """Whether this is a step after which a checkpoint is written."""
        every = self.settings.checkpoint_every
        return bool(every) and self.progress.step % every == 0

    def begin(self) -> None:
        """Starts the clock, and the first episode unless one is open."""
        self._began = time.perf_counter() - self.progress.wall_time
        if not self._actions:
            self._observation = self.environment.reset(self.progress.episode)

    def advance(self) -> None:
        """Acts, and stores what comes of it. Raises Diverged for an action or an answer that is not finite."""
        observation = self._observation
        action = self.learner.act(observation)
        if not np.isfinite(action).all():
            raise self._diverged(f"the policy's action at step {self.progress.step} is not finite")
        next_observation, reward, terminated, truncated = self.environment.step(action)
        if not (math.isfinite(reward) and np.isfinite(next_observation).all()):
            raise self._diverged(f"the environment's reward or observation at step {self.progress.step} is not finite")
        self.learner.add(observation, action, reward, next_observation, terminated, truncated)
        self._observation = next_observation
        self._episode_return += reward
        self._actions.append(action)
        self._ended = (terminated, truncated)

    def settle(self) -> None:
        """Counts the step: ends the episode if it is over, records diagnostics, says whether an evaluation is due."""
        progress, settings = self.progress, self.settings
        progress.step += 1
        if any(self._ended):
            self._end_episode(*self._ended)
        if progress.step % settings.log_every == 0 or self.over:
            self._log_metrics()
        if self.over or (settings.eval_every and progress.step % settings.eval_every == 0):
            self.evaluation_due = True

    def report(self) -> None:
        """Puts on record how far the run has come."""
        self.progress.wall_time = time.perf_counter() - self._began
        self.recorder.progress(self.progress.step, self.progress.wall_time)

    def _diverged(self, what: str) -> Diverged:
        good = "there is none" if self._saved is None else f"that of step {self._saved}"
        return Diverged(f"{what}; last good checkpoint: {good}")

    def _end_episode(self, terminated: bool, truncated: bool) -> None:
        progress = self.progress
        progress.wall_time = time.perf_counter() - self._began
        self.recorder.episode(
            progress.episode,
            progress.step,
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
                raise self._diverged(f"{name} at step {self.progress.step} is {value}")

    def evaluate(self) -> None:
        """Plays the evaluation that is due. Raises StoppedBySignal amid it, and then it is still due."""
        progress, settings = self.progress, self.settings
        environment, episodes = self.evaluation_environment, settings.eval_episodes
        self.report()  # should it never end
        played = evaluate(self.learner, environment, progress.step, episodes, watch=self._answer)
        measured: dict[str, float] = {}
        if self.learner.updating:
            generator = np.random.default_rng([settings.seed, DIAGNOSIS, progress.step])
            after = (progress.step, episodes)  # an episode that is none of those above
            measured = overestimation(self.learner, environment, generator, *after, watch=self._answer)
        for number, (return_, length) in enumerate(played):
            self.recorder.evaluation(progress.step, "mean", number, return_, length)
        self.recorder.metrics(progress.step, measured)
        self.evaluation_due = False
        if self._saved == progress.step:
            self._saved = None  # the checkpoint of this step says that it is due
        returns = [episode.return_ for episode in played]
        spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
        progress.evaluation = (progress.step, float(np.mean(returns)), spread)

    def _answer(self, _: int = 0) -> None:
        """Between two steps of an evaluation: a signal need not wait for its end, which may never come."""
        if self.stop.requested:
            raise StoppedBySignal

    def save(self, again: bool = False) -> None:
        """Writes a checkpoint of this moment, between two steps, if there is none of it yet or `again`.

        Diverged for a NaN.
        """
        progress = self.progress
        if progress.step == self._saved and not again:
            return
        for name, tensor in named_leaves(self.learner.state):  # so that every checkpoint is one to go on from
            if tensor.is_floating_point() and tensor.isnan().any():
                raise self._diverged(f"{name} at step {progress.step} is nan")
        self.report()
        self.recorder.flush()
        loop = {
            "episode": progress.episode,
            "episode_return": self._episode_return,
            "wall_time": progress.wall_time,
            "evaluation_due": self.evaluation_due,
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
