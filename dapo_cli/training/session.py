"""One run in one process: made or taken up again, trained, and closed with a true status."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from algorithms._learner import Learner
from dapo_cli import config as configuration
from dapo_cli.config import RunConfig
from dapo_cli.errors import BadInput, Interrupted, RunFailed
from dapo_cli.training import envs, provenance
from dapo_cli.training.checkpoint import Checkpoints
from dapo_cli.training.envs import Environment
from dapo_cli.training.execution import Execution
from dapo_cli.training.live import display
from dapo_cli.training.loop import Diverged, Loop, StoppedBySignal
from dapo_cli.training.signals import Stop
from store import runs
from store.errors import RunBusy, StoreError
from store.locks import RunLock
from store.recorder import Recorder
from store.session import Database


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with what only the environment can tell. Raises BadInput if it cannot be trained on."""
    environment = Environment(config.settings.env, config.settings.seed, envs.TRAINING)
    environment.close()
    return config.resolved(environment.spaces)


def start(config: RunConfig, location: str) -> str:
    """Trains a new run to its end and returns its id. Nothing is written before everything is known to be possible.

    Raises BadInput, StoreError, Interrupted (checkpoint written), RunFailed (failed or diverged; recorded).
    """
    config = resolved(config)
    execution, remark = Execution.decide(config)
    with ExitStack() as stack:
        db = stack.enter_context(Database.write(location))
        run_id = runs.new_run_id()
        _lock(stack, db, run_id)
        row = {
            "id": run_id,
            "algo": config.settings.algo,
            "env": config.settings.env,
            "seed": config.settings.seed,
            "steps": config.settings.steps,
            "note": config.note,
            **provenance.of_process(),
            **execution.as_dict(),
        }
        runs.create(db, run=row, hyperparameters=config.rows(), tags=config.tags)
        _train(stack, db, run_id, config, execution, [remark] if remark else [], None)
    return run_id


def resume(location: str, prefix: str) -> str:
    """Trains an interrupted run on to its end, from its newest usable checkpoint; otherwise like `start`."""
    if not Path(location).exists() and "://" not in location:
        Database.read(location)  # says that there is no database, and creates none
    with ExitStack() as stack:
        db = stack.enter_context(Database.write(location))
        run_id = runs.resolve(db, prefix)
        run = runs.get(db, run_id)
        if run["status"] == "completed":
            raise BadInput(f"run {run_id[:6]} is completed: there is nothing to resume")
        if run["kind"] != "train" or run["source"]:
            raise BadInput(f"run {run_id[:6]} was not trained here: only training runs can be resumed")
        if run["status"] == "running":  # the lock below tells only where its folder is shared
            raise RunBusy(f"run {run_id[:6]} is training on {run['host']}: wait for its end, or stop it there")
        _lock(stack, db, run_id)
        config = configuration.restore(run, runs.hyperparameters(db, run_id))
        execution = Execution.pinned(run, config)
        here = provenance.of_process()
        runs.set_status(db, run_id, "running", host=here["host"], pid=here["pid"])
        _train(stack, db, run_id, config, execution, [], run)
    return run_id


def _lock(stack: ExitStack, db: Database, run_id: str) -> None:
    lock = RunLock(db.run_folder(run_id) / "lock")
    lock.acquire()
    stack.callback(lock.release)


def _train(
    stack: ExitStack,
    db: Database,
    run_id: str,
    config: RunConfig,
    execution: Execution,
    remarks: list[str],
    resumed: Mapping[str, Any] | None,
) -> None:
    settings = config.settings
    execution.apply()
    environments = tuple(
        Environment(settings.env, settings.seed, stream) for stream in (envs.TRAINING, envs.EVALUATION)
    )
    for environment in environments:
        stack.callback(environment.close)
    training, evaluation = environments
    learner = Learner(
        config.algorithm, config.hyperparameters, training.spaces, settings.seed, execution.device, execution.compiled
    )
    checkpoints = Checkpoints(db, run_id)
    fingerprint = provenance.fingerprint(execution.as_dict())
    stop = stack.enter_context(Stop())
    screen, context = display(f"{settings.algo} on {settings.env}, seed {settings.seed}, run {run_id[:6]}")

    loaded, complaints = checkpoints.load(learner) if resumed else (None, [])
    resume_from = (loaded.step if loaded else 0) if resumed else None
    recorder = Recorder(db, run_id, resume_from=resume_from)
    loop = Loop(settings, learner, (training, evaluation), recorder, checkpoints, fingerprint, screen, stop)

    def body() -> None:
        for remark in remarks + complaints:
            screen.say(remark)
        if resumed is not None:
            here = provenance.of_process()
            recorder.event("resumed", here["command"], resume_from, {**here, **execution.as_dict()})
            reasons = complaints if loaded is None else []
            if loaded is not None:
                reasons = _differences(loaded.fingerprint, fingerprint)
                if not loop.restore(loaded):
                    reasons.append("the open episode did not repeat itself")
            if reasons and loaded is not None:
                runs.set_status(db, run_id, "running", exactness="approximate")
                recorder.event("approximate", "; ".join(reasons), resume_from)
                screen.say(f"the resumed run is marked approximate: {'; '.join(reasons)}")
        with context:
            loop.run()

    _finish(body, recorder, stop, run_id, db.location)
    if not settings.keep_replay:
        checkpoints.drop_replay()


def _finish(body: Callable[[], None], recorder: Recorder, stop: Stop, run_id: str, location: str) -> None:
    """Runs `body` and closes the record with the status that it ended in."""
    name = run_id[:6]
    again = f"dapo resume {name}" + ("" if location == "runs.db" else f" --db {location}")
    try:
        body()
    except StoppedBySignal as error:
        assert stop.requested is not None
        recorder.close("interrupted", "Ctrl-C" if stop.requested == 2 else "SIGTERM")
        raise Interrupted(f"interrupted, checkpoint saved; continue with: {again}", stop.requested) from error
    except KeyboardInterrupt as error:
        recorder.close("interrupted", "Ctrl-C twice")
        raise Interrupted(f"interrupted without a checkpoint of this moment; continue with: {again}") from error
    except Diverged as error:
        recorder.close("diverged", str(error))
        raise RunFailed(f"run {name} diverged: {error}; its record is kept (dapo show {name})") from error
    except StoreError:
        raise  # the record cannot be written: a dead process is the true status
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        recorder.event("traceback", reason, data={"traceback": traceback.format_exc()})
        recorder.close("failed", reason)
        raise RunFailed(f"run {name} failed: {reason} (dapo show {name} has the traceback)") from error
    recorder.close("completed")


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the checkpoint was written."""
    return [
        f"{key} was {json.dumps(before.get(key))} and is {json.dumps(now.get(key))}"
        for key in now
        if before.get(key) != now.get(key)
    ]
