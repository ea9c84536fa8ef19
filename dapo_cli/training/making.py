"""What a run needs before it can be trained or taken up again; making it may fail, and then nothing is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from algorithms import learner_of
from algorithms.learner.base import Learner
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.terminal.streams import prints_aside
from dapo_cli.training import provenance
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.environments.gym_environment import Environment
from dapo_cli.training.execution import Execution
from store.connection.locks import RunLock
from store.records import runs
from store.session import Database


class Trainee(NamedTuple):
    """What a run needs beside its record."""

    config: RunConfig  # resolved for the environment
    environments: tuple[Environment, Environment]  # for training and for evaluation
    learner: Learner
    execution: Execution


def make(stack: ExitStack, config: RunConfig, execution: Execution) -> Trainee:
    """Environments and learner, closed with the stack; sets PyTorch's switches. BadInput for what is not possible.

    Until then what the environments print is kept out of standard output.
    """
    settings = config.settings
    execution.apply()
    stack.enter_context(prints_aside())
    made = []
    for stream in (gym_environment.TRAINING, gym_environment.EVALUATION):
        made.append(Environment(settings.env, settings.seed, stream, bins=config.hyperparameters.bins))
        stack.callback(made[-1].close)
    training, evaluation = made
    config = config.resolved(training.spaces)
    where = (execution.device, execution.compiled, settings.precision)
    try:
        build = learner_of(config.algorithm)
        learner = build(config.algorithm, config.hyperparameters, training.spaces, settings.seed, *where)
    except (RuntimeError, TypeError, MemoryError, OverflowError) as error:
        cause = f"{type(error).__name__}: {error}".partition("\n")[0]
        if not re.search("memory|overflow", cause, re.IGNORECASE):  # PyTorch has no class for it on a CPU
            raise
        raise BadInput(f"not enough memory: lower buffer_size, hidden_sizes or batch_size ({cause})") from error
    return Trainee(config, (training, evaluation), learner, execution)


def new_row(trainee: Trainee) -> dict[str, Any]:
    """Columns of a new run."""
    settings = trainee.config.settings
    return {
        "id": runs.new_run_id(),
        "kind": "tuning" if trainee.config.tuning else "train",
        "algo": settings.algo,
        "env": settings.env,
        "seed": settings.seed,
        "steps": settings.steps,
        "note": trainee.config.note,
        **provenance.of_process(trainee.execution.device),
        **trainee.execution.as_dict(),
    }


def lock(stack: ExitStack, db: Database, run_id: str) -> None:
    """Takes the run's lock until the stack is closed; RunBusy if another process trains it."""
    held = RunLock(db.run_folder(run_id) / "lock")
    held.acquire()
    stack.callback(held.release)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the checkpoint was written."""
    return [
        f"{key} was {json.dumps(before.get(key))} and is {json.dumps(now.get(key))}"
        for key in now
        if before.get(key) != now.get(key)
    ]
