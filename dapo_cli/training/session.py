"""One run in one process: made or taken up again, trained, and closed with a true status."""

from __future__ import annotations

import json
import shlex
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from algorithms import learner_of
from algorithms._learner import Learner
from dapo_cli import config as configuration
from dapo_cli.config import RunConfig
from dapo_cli.errors import BadInput, Interrupted, RunFailed
from dapo_cli.project_file import database_location
from dapo_cli.training import envs, extension, provenance
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.envs import Environment
from dapo_cli.training.execution import Execution
from dapo_cli.training.live import display
from dapo_cli.training.loop import Diverged, Loop, StoppedBySignal
from dapo_cli.training.signals import Stop
from store import queue, runs
from store.errors import CannotWrite, RunBusy, StoreError
from store.locks import RunLock
from store.recorder import Recorder
from store.session import Database

LONGEST_REASON = 300  # characters; the traceback in the run's events has the rest


class Trainee(NamedTuple):
    """What a run needs beside its record. Made before anything is written, since making it may fail."""

    config: RunConfig  # resolved for the environment
    environments: tuple[Environment, Environment]  # for training and for evaluation
    learner: Learner
    execution: Execution


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with what only the environment can tell. Raises BadInput if it cannot be trained on."""
    bins = config.hyperparameters.bins
    environment = Environment(config.settings.env, config.settings.seed, envs.TRAINING, bins=bins)
    environment.close()
    return config.resolved(environment.spaces)


def start(config: RunConfig, location: str) -> str:
    """Trains a new run to its end and returns its id. Nothing is written before everything is known to be possible.

    Raises BadInput, StoreError, Interrupted (checkpoint written), RunFailed (failed or diverged; recorded).
    """
    execution, remark = Execution.decide(config)
    with ExitStack() as stack:
        trainee = _make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        row = _new_row(trainee)
        run_id = str(row["id"])
        _lock(stack, db, run_id)
        runs.create(db, run=row, hyperparameters=trainee.config.rows(), tags=config.tags)
        checkpoints, recorder = Checkpoints(db, run_id), Recorder(db, run_id)
        _train(stack, db, run_id, trainee, checkpoints, recorder, [remark] if remark else [])
    return run_id


def resume(location: str, prefix: str, modules: Sequence[str] = ()) -> str:
    """Trains an interrupted run on to its end, from its newest usable checkpoint; otherwise like `start`.

    `modules` are those that the user allows to be imported for the run's environment (`module:Env-v0`).
    """
    with Database.read(location) as db:  # bad input must not create or upgrade anything
        run_id = runs.resolve(db, prefix)
        run = _resumable(db, run_id)
        config = configuration.restore(run, runs.hyperparameters(db, run_id))
    envs.require_permission(config.settings.env, modules)
    _go_on(location, run, config)
    return run_id


def claimed(location: str, run_id: str, worker_id: str, modules: Sequence[str] = ()) -> None:
    """Trains a run of the queue that this worker has claimed, from its newest checkpoint if it has one.

    Otherwise like `start` and `resume`. RunBusy if the run is no longer the worker's.
    """
    with Database.read(location) as db:
        run = extension.trained_here(db, run_id)
        config = configuration.restore(run, runs.hyperparameters(db, run_id))
        has_checkpoint = bool(runs.checkpoints(db, run_id))
    envs.require_permission(config.settings.env, modules)
    if has_checkpoint:
        _go_on(location, run, config, worker_id)
        return
    with ExitStack() as stack:
        execution, remark = Execution.decide(config)
        trainee = _make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        _lock(stack, db, run_id)
        _check_claim(db, run_id, worker_id)
        made = provenance.of_process()
        del made["command"]  # it stays the sweep's
        queue.start_over(db, run_id)  # what came of an attempt without a checkpoint, perhaps on another machine
        runs.set_status(db, run_id, "running", **made, **execution.as_dict())
        checkpoints, recorder = Checkpoints(db, run_id), Recorder(db, run_id)
        _train(stack, db, run_id, trainee, checkpoints, recorder, [remark] if remark else [])


def _go_on(location: str, run: Mapping[str, Any], config: RunConfig, worker_id: str | None = None) -> None:
    """Trains a run on from its newest usable checkpoint, in the way that it was trained before."""
    run_id = str(run["id"])
    with ExitStack() as stack:
        execution = Execution.pinned(run, config)
        trainee = _make(stack, config, execution)
        db = stack.enter_context(Database.write(location))
        _lock(stack, db, run_id)
        if worker_id is not None:
            _check_claim(db, run_id, worker_id)
        if runs.get(db, run_id)["status"] == "completed":  # by another process, since
            raise BadInput(f"run {run_id} is completed: there is nothing to resume")
        checkpoints = Checkpoints(db, run_id)
        loaded, complaints = checkpoints.load(trainee.learner, forget=True)
        step = loaded.step if loaded else 0
        runs.set_status(db, run_id, "running")
        recorder = Recorder(db, run_id, resume_from=step)
        recorder.event("resumed", provenance.command(), step, {**provenance.of_process(), **execution.as_dict()})
        before = loaded.fingerprint if loaded else provenance.fingerprint_of(run)
        reasons = _differences(before, provenance.fingerprint(execution.as_dict()))
        _train(stack, db, run_id, trainee, checkpoints, recorder, complaints, loaded, reasons)


def _check_claim(db: Database, run_id: str, worker_id: str) -> None:
    if not queue.still_claimed(db, run_id, worker_id):
        raise RunBusy(f"run {run_id} was taken over by another worker")


def extend(plan: extension.Plan, location: str) -> str:
    """Trains a new run that goes on where the plan's parent ended, which stays as it is; otherwise like `start`."""
    parent_id = plan.parent["id"]
    with ExitStack() as stack:
        execution = Execution.pinned(plan.parent, plan.config)
        trainee = _make(stack, plan.config, execution)
        db = stack.enter_context(Database.write(location))
        with ExitStack() as copying:
            if db.run_folder(parent_id).is_dir():
                _lock(copying, db, parent_id)  # nobody resumes or deletes it meanwhile
            parent = extension.extendable(db, parent_id)
            source, loaded, complaints, reasons = extension.load(db, parent, trainee.learner)
            reasons += _differences(loaded.fingerprint, provenance.fingerprint(execution.as_dict()))
            row = _new_row(trainee) | {"parent": parent_id, "exactness": "approximate" if reasons else "exact"}
            run_id = str(row["id"])
            _lock(stack, db, run_id)
            checkpoints = extension.create(db, source, loaded, trainee.learner, row, trainee.config)
        recorder = Recorder(db, run_id, resume_from=loaded.step)
        _train(stack, db, run_id, trainee, checkpoints, recorder, complaints, loaded, reasons)
    return run_id


def _resumable(db: Database, run_id: str) -> dict[str, Any]:
    run = extension.trained_here(db, run_id)
    name = runs.shorten(db)[run_id]
    if run["status"] == "completed":
        raise BadInput(f"run {name} is completed: to train it further, use: dapo train --from {name} --steps N")
    if run["status"] == "queued":
        raise BadInput(f"run {name} waits in the queue: train what waits there with: dapo worker")
    if run["started_at"] is None:
        raise BadInput(f"run {name} was cancelled before it began: queue it again with: dapo sweep retry NAME")
    return run


def _new_row(trainee: Trainee) -> dict[str, Any]:
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
        **provenance.of_process(),
        **trainee.execution.as_dict(),
    }


def _make(stack: ExitStack, config: RunConfig, execution: Execution) -> Trainee:
    settings = config.settings
    execution.apply()
    made = []
    for stream in (envs.TRAINING, envs.EVALUATION):
        made.append(Environment(settings.env, settings.seed, stream, bins=config.hyperparameters.bins))
        stack.callback(made[-1].close)
    training, evaluation = made
    config = config.resolved(training.spaces)
    where = (execution.device, execution.compiled, settings.precision)
    try:
        make = learner_of(config.algorithm)
        learner = make(config.algorithm, config.hyperparameters, training.spaces, settings.seed, *where)
    except (RuntimeError, MemoryError, OverflowError) as error:
        cause = str(error).partition("\n")[0]
        raise BadInput(f"not enough memory: lower buffer_size, hidden_sizes or batch_size ({cause})") from error
    return Trainee(config, (training, evaluation), learner, execution)


def _lock(stack: ExitStack, db: Database, run_id: str) -> None:
    lock = RunLock(db.run_folder(run_id) / "lock")
    lock.acquire()
    stack.callback(lock.release)


def _train(
    stack: ExitStack,
    db: Database,
    run_id: str,
    trainee: Trainee,
    checkpoints: Checkpoints,
    recorder: Recorder,
    remarks: list[str],
    loaded: Loaded | None = None,
    reasons: list[str] | None = None,
) -> None:
    settings = trainee.config.settings
    stop = stack.enter_context(Stop())
    name = runs.shorten(db)[run_id]
    screen, shown = display(f"{settings.algo} on {settings.env}, seed {settings.seed}, run {name}")
    fingerprint = provenance.fingerprint(trainee.execution.as_dict())
    loop = Loop(settings, trainee.learner, trainee.environments, recorder, checkpoints, fingerprint, screen, stop)

    def body() -> None:
        differences = list(reasons or [])
        if loaded and not loop.restore(loaded):
            differences.append("the open episode did not repeat itself")
        if differences:
            text = "; ".join(differences)
            runs.set_status(db, run_id, "running", exactness="approximate")
            recorder.event("approximate", text, loop.progress.step)
            remarks.append(f"this run is marked approximate: {text}")
        for remark in remarks:
            screen.say(remark)
        with shown:
            loop.run()

    _finish(body, recorder, stop, name, _resume_command(db, name))
    if not settings.keep_replay:
        checkpoints.drop_replay()


def _finish(body: Callable[[], None], recorder: Recorder, stop: Stop, name: str, again: str) -> None:
    """Runs `body` and closes the record with the status that it ended in."""
    try:
        body()
    except (StoppedBySignal, KeyboardInterrupt) as error:
        signum = stop.requested or signal.SIGINT
        word = "SIGTERM" if signum == signal.SIGTERM else "Ctrl-C"
        saved = isinstance(error, StoppedBySignal)
        recorder.close("interrupted", word if saved else f"{word} twice")
        state = "checkpoint saved" if saved else "without a checkpoint of this moment"
        raise Interrupted(f"interrupted, {state}; continue with: {again}", signum) from error
    except Diverged as error:
        recorder.close("diverged", str(error))
        raise RunFailed(f"run {name} diverged: {error}; its record is kept (dapo show {name})") from error
    except StoreError as error:
        with suppress(StoreError):  # where not even this can be written, a dead process is the true status
            recorder.close("interrupted", str(error))
        raise CannotWrite(f"{error}; then continue with: {again}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_REASON]
        recorder.event("traceback", reason, data={"traceback": traceback.format_exc()})
        recorder.close("failed", reason)
        raise RunFailed(f"run {name} failed: {reason} (dapo show {name} has the traceback)") from error
    recorder.close("completed")


def _resume_command(db: Database, name: str) -> str:
    if db.location == database_location(None):
        return f"dapo resume {name}"
    if db.path is None:  # its URL may hold a password
        return f"dapo resume {name} with the same --db"
    return f"dapo resume {name} --db {shlex.quote(db.location)}"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the checkpoint was written."""
    return [
        f"{key} was {json.dumps(before.get(key))} and is {json.dumps(now.get(key))}"
        for key in now
        if before.get(key) != now.get(key)
    ]
