"""One run in one process: made or taken up again, trained, and closed with a true status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.training import extension, groups, provenance
from dapo_cli.training.checkpoint import Checkpoints
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.execution import Execution
from dapo_cli.training.making import differences, lock, make, new_row
from dapo_cli.training.members import Member, reopened, train
from store.errors import RunBusy
from store.queue import run_queue
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with what only the environment can tell. Raises BadInput if it cannot be trained on."""
    return config.resolved(gym_environment.spaces_of(config.settings.env, config.hyperparameters.bins))


def start(config: RunConfig, location: str) -> str:
    """Trains a new run to its end and returns its id. Nothing is written before everything is known to be possible.

    Raises BadInput, StoreError, Interrupted (checkpoint written), RunFailed (failed or diverged; recorded).
    """
    execution, remark = Execution.decide(config)
    with ExitStack() as stack:
        trainee = make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        row = new_row(trainee)
        run_id = str(row["id"])
        lock(stack, db, run_id)
        runs.create(db, run=row, hyperparameters=trainee.config.rows(), tags=config.tags)
        checkpoints, recorder = Checkpoints(db, run_id), Recorder(db, run_id)
        member = Member(run_id, trainee, checkpoints, recorder, [remark] if remark else [])
        train(stack, db, [member], trainee.learner.update)
    return run_id


def resume(location: str, prefix: str, modules: Sequence[str] = ()) -> str:
    """Trains an interrupted run on to its end, from its newest usable checkpoint; otherwise like `start`.

    One that was trained in a group takes the group's other interrupted runs along. `modules` are those that the user
    allows to be imported for the run's environment (`module:Env-v0`).
    """
    with Database.read(location) as db:  # bad input must not create or upgrade anything
        run_id = runs.resolve(db, prefix)
        run = _resumable(db, run_id)
        config = configuration.restore(run, runs.hyperparameters(db, run_id))
    gym_environment.require_permission(config.settings.env, modules)
    if run["group_id"] is None:
        _go_on(location, run, config)
    else:
        groups.resume(location, run)
    return run_id


def claimed(location: str, run_id: str, worker_id: str, modules: Sequence[str] = ()) -> None:
    """Trains a run of the queue that this worker has claimed, from its newest checkpoint if it has one.

    Otherwise like `start` and `resume`. RunBusy if the run is no longer the worker's.
    """
    with Database.read(location) as db:
        run = extension.trained_here(db, run_id)
        config = configuration.restore(run, runs.hyperparameters(db, run_id))
        has_checkpoint = bool(runs.checkpoints(db, run_id))
    gym_environment.require_permission(config.settings.env, modules)
    if has_checkpoint:
        _go_on(location, run, config, worker_id)
        return
    with ExitStack() as stack:
        execution, remark = Execution.decide(config)
        trainee = make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        lock(stack, db, run_id)
        _check_claim(db, run_id, worker_id)
        made = provenance.of_process(execution.device)
        del made["command"]  # it stays the sweep's
        run_queue.start_over(db, run_id)  # what came of an attempt without a checkpoint, perhaps on another machine
        runs.set_status(db, run_id, "running", **made, **execution.as_dict())
        checkpoints, recorder = Checkpoints(db, run_id), Recorder(db, run_id)
        member = Member(run_id, trainee, checkpoints, recorder, [remark] if remark else [])
        train(stack, db, [member], trainee.learner.update)


def _go_on(location: str, run: Mapping[str, Any], config: RunConfig, worker_id: str | None = None) -> None:
    """Trains a run on from its newest usable checkpoint, in the way that it was trained before."""
    run_id = str(run["id"])
    with ExitStack() as stack:
        execution = Execution.pinned(run, config)
        trainee = make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        lock(stack, db, run_id)
        if worker_id is not None:
            _check_claim(db, run_id, worker_id)
        if runs.get(db, run_id)["status"] == "completed":  # by another process, since
            raise BadInput(f"run {run_id} is completed: there is nothing to resume")
        checkpoints = Checkpoints(db, run_id)
        loaded, complaints = checkpoints.load(trainee.learner, forget=True)
        train(stack, db, [reopened(db, run, trainee, checkpoints, loaded, complaints)], trainee.learner.update)


def _check_claim(db: Database, run_id: str, worker_id: str) -> None:
    if not run_queue.still_claimed(db, run_id, worker_id):
        raise RunBusy(f"run {run_id} was taken over by another worker")


def extend(plan: extension.Plan, location: str) -> str:
    """Trains a new run that goes on where the plan's parent ended, which stays as it is; otherwise like `start`."""
    parent_id = plan.parent["id"]
    with ExitStack() as stack:
        execution = replace(Execution.pinned(plan.parent, plan.config), group_size=None)
        trainee = make(stack, plan.config, execution)
        db = stack.enter_context(Database.write(location))
        with ExitStack() as copying:
            if db.run_folder(parent_id).is_dir():
                lock(copying, db, parent_id)  # nobody resumes or deletes it meanwhile
            parent = extension.extendable(db, parent_id)
            source, loaded, complaints, reasons = extension.load(db, parent, trainee.learner)
            reasons += differences(loaded.fingerprint, provenance.fingerprint(execution.as_dict()))
            row = new_row(trainee) | {"parent": parent_id, "exactness": "approximate" if reasons else "exact"}
            run_id = str(row["id"])
            lock(stack, db, run_id)
            checkpoints = extension.create(db, source, loaded, trainee.learner, row, trainee.config)
        recorder = Recorder(db, run_id, resume_from=loaded.step)
        member = Member(run_id, trainee, checkpoints, recorder, complaints, loaded, reasons)
        train(stack, db, [member], trainee.learner.update)
    return run_id


def _resumable(db: Database, run_id: str) -> dict[str, Any]:
    run = extension.trained_here(db, run_id)
    name = runs.shorten(db)[run_id]
    if run["status"] == "completed":
        try:
            extension.newest(db, run)
        except BadInput as error:
            raise BadInput(f"run {name} is completed: there is nothing to resume, and {error}") from error
        raise BadInput(f"run {name} is completed: to train it further, use: dapo train --from {name} --steps N")
    if run["status"] == "queued":
        raise BadInput(f"run {name} waits in the queue: train what waits there with: dapo worker")
    if run["started_at"] is None:
        raise BadInput(f"run {name} was cancelled before it began: queue it again with: dapo sweep retry NAME")
    return run
