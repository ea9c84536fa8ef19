"""What a run has learned, taken from its last usable checkpoint. Reading it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from algorithms.learner.base import Learner
from algorithms.learner.replay import Replay
from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.terminal import console
from dapo_cli.terminal.streams import prints_aside
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.environments.gym_environment import Environment
from store.records import runs
from store.session import Database


class Actor(Learner):
    """A learner that only acts, on the CPU: of a checkpoint it takes the policy alone, wherever that was trained."""

    def _storage(self) -> Replay:
        return Replay(1, [1], 1, self.device)

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:  # noqa: ARG002
        self.state.actor.copy_(tensors["actor"])


@dataclass(frozen=True)
class Trained:
    """A run's policy, and the environment it was trained on."""

    run: dict[str, Any]  # as store.records.runs.get gives it
    name: str  # the shortest unique prefix of its id
    config: RunConfig  # resolved
    actor: Actor
    environment: Environment
    loaded: Loaded  # the checkpoint
    remarks: tuple[str, ...]  # what the user should know of it

    @property
    def step(self) -> int:
        """The environment step after which the policy was saved."""
        return self.loaded.step


@contextmanager
def trained(
    db: Database, prefix: str, modules: Sequence[str] = (), *, seed: int | None = None, filmed: bool = False
) -> Iterator[Trained]:
    """The policy of a run, whatever became of the run, with an environment that is closed in the end.

    `modules` are those that the user allows to be imported for the run's environment (`module:Env-v0`); `seed` replaces
    the run's own in the reset seeds of the environment, which otherwise are those of its evaluations; `filmed`: the
    environment can be rendered. Raises StoreError, and BadInput for a run without a usable checkpoint.
    """
    run_id = runs.resolve(db, prefix)
    run, name = runs.get(db, run_id), runs.shorten(db)[run_id]
    if not runs.checkpoints(db, run_id):
        raise BadInput(f"run {name} has no checkpoint, so there is no policy to use: {_remedy(run, name)}")
    config = configuration.restore(run, runs.hyperparameters(db, run_id))
    settings = config.settings
    gym_environment.require_permission(settings.env, modules)
    played = settings.seed if seed is None else seed
    bins = config.hyperparameters.bins
    with ExitStack() as stack:
        stack.enter_context(prints_aside())
        environment = Environment(settings.env, played, gym_environment.EVALUATION, bins=bins, filmed=filmed)
        stack.callback(_close, environment)
        config = config.resolved(environment.spaces)
        actor = Actor(config.algorithm, config.hyperparameters, environment.spaces, settings.seed)
        loaded, complaints = Checkpoints(db, run_id).load(actor, with_replay=False)
        if loaded is None:  # it was deleted in the meantime
            raise BadInput(f"run {name} has no checkpoint any more: {_remedy(run, name)}")
        if not np.isfinite(actor.state.actor.numpy()).all():
            raise BadInput(f"the policy of run {name} at step {loaded.step} is not finite: the run diverged")
        remarks = list(complaints)
        if loaded.step < run["steps"]:
            remarks.append(
                f"run {name} is {run['status']}: this is its policy after {loaded.step} of {run['steps']} steps"
            )
        yield Trained(run, name, config, actor, environment, loaded, tuple(remarks))


def _close(environment: Environment) -> None:
    if remark := environment.close():
        console.warning(remark)


def _remedy(run: dict[str, Any], name: str) -> str:
    if run["status"] == "running":
        return "wait until it has written one (checkpoint_every)"
    return f"train it on with dapo resume {name}" if run["status"] != "completed" else "train it anew"
