"""A finished run taken further, as a new run: what it inherits, what may change, and why it may not be exact."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from algorithms.learner.base import Learner
from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.environments import gym_environment
from store.errors import RunBusy
from store.records import runs
from store.records.marks import KINDS
from store.session import Database

# Settings that leave the steps already done as they were; everything else is the parent's.
CHANGEABLE = ("steps", "eval_every", "eval_episodes", "checkpoint_every", "log_every", "keep_replay")


class Plan(NamedTuple):
    """A run to extend, and the configuration of the run that extends it."""

    parent: dict[str, Any]  # its columns
    config: RunConfig


def plan(
    location: str,
    prefix: str,
    typed: Mapping[str, Any],
    tags: Iterable[str] = (),
    note: str | None = None,
    modules: Sequence[str] = (),
) -> Plan:
    """What `dapo train --from` with these typed values would train. Reads only; raises BadInput and StoreError.

    `modules` are those that the user allows to be imported for the run's environment (`module:Env-v0`).
    """
    with Database.read(location) as db:
        parent = extendable(db, runs.resolve(db, prefix))
        name = runs.shorten(db)[parent["id"]]
        if not runs.checkpoints(db, parent["id"]):
            raise _no_checkpoint(name)
        config = configuration.restore(parent, runs.hyperparameters(db, parent["id"]))
    for other in typed:
        if other not in CHANGEABLE:
            allowed = ", ".join(CHANGEABLE)
            raise BadInput(f"--from keeps the {other} of run {name}: what may be given is {allowed}, --tag and --note")
    if "steps" not in typed:
        raise BadInput(f"how far shall it go? Add --steps N, more than the {parent['steps']} of run {name}")
    gym_environment.require_permission(config.settings.env, modules)
    config = configuration.changed(config, typed, tags, note)
    if config.settings.steps <= parent["steps"]:
        resume = "" if parent["status"] == "completed" else f", or continue it with: dapo resume {name}"
        raise BadInput(f"run {name} goes to step {parent['steps']}: give --steps more than that{resume}")
    return Plan(parent, config)


def check(location: str, planned: Plan) -> None:
    """Raises what training this plan would for the lack of a checkpoint to go on from; reads only."""
    with Database.read(location) as db:
        newest(db, extendable(db, planned.parent["id"]))


def extendable(db: Database, run_id: str) -> dict[str, Any]:
    """The run, if it is one to extend; raises BadInput or RunBusy if not."""
    run = trained_here(db, run_id)
    if run["status"] not in ("completed", "interrupted"):
        name = runs.shorten(db)[run_id]
        raise BadInput(f"run {name} is {run['status']}: only a completed or an interrupted run can be extended")
    return run


def trained_here(db: Database, run_id: str) -> dict[str, Any]:
    """A run that this dapo trained and trains no longer; BadInput or RunBusy for another."""
    run = runs.get(db, run_id)
    name = runs.shorten(db)[run_id]
    if run["kind"] not in KINDS or run["source"]:
        raise BadInput(f"run {name} was not trained here: only training runs can go on")
    if run["status"] == "running":  # the lock tells only where its folder is shared
        raise RunBusy(f"run {name} is training on {run['host']}: wait for its end, or stop it there")
    return run


def newest(
    db: Database, run: Mapping[str, Any], learner: Learner | None = None
) -> tuple[Checkpoints, Loaded, list[str], bool]:
    """The run's last usable checkpoint, restored into the learner if there is one; BadInput if there is none.

    Returns its checkpoints, that one, what was unusable, and whether it has its replay.
    """
    kept = {row["name"]: row["value"] for row in runs.hyperparameters(db, run["id"])}
    replay = run["status"] != "completed" or bool(kept.get("keep_replay"))
    checkpoints = Checkpoints(db, run["id"])
    loaded, complaints = checkpoints.load(learner, with_replay=replay)
    if loaded is None:
        raise _no_checkpoint(runs.shorten(db)[run["id"]])
    return checkpoints, loaded, complaints, replay


def load(db: Database, run: Mapping[str, Any], learner: Learner) -> tuple[Checkpoints, Loaded, list[str], list[str]]:
    """Restores the learner as the parent's last usable checkpoint has it, and leaves the parent as it is.

    Returns its checkpoints, the one restored, what was unusable, and the reasons why the extension cannot be the run
    that its steps from the start would have given.
    """
    name = runs.shorten(db)[run["id"]]
    checkpoints, loaded, complaints, replay = newest(db, run, learner)
    reasons = []
    if run["exactness"] != "exact":
        reasons.append(f"run {name}, which it extends, is {run['exactness']}")
    if not replay:
        again = f"{learner.warm_up} transitions are collected anew"
        reasons.append(f"run {name} did not keep its replay (keep_replay), so {again}")
    return checkpoints, loaded, complaints, reasons


def create(
    db: Database,
    parent: Checkpoints,
    loaded: Loaded,
    learner: Learner,
    row: Mapping[str, Any],
    config: RunConfig,
) -> Checkpoints:
    """Makes the new run, whose columns are `row`, with its checkpoint, or nothing. Returns its checkpoints."""
    checkpoints = Checkpoints(db, row["id"])
    name = runs.shorten(db)[row["parent"]]
    try:
        checkpoints.inherit_replay(parent)
        written = checkpoints.write(loaded.step, learner, loaded.loop, loaded.tensors, loaded.fingerprint)
        message = f"goes on from run {name} at step {loaded.step}"
        columns = {**row, "wall_time": loaded.loop["wall_time"]}
        runs.extend(
            db, run=columns, checkpoint=written, message=message, hyperparameters=config.rows(), tags=config.tags
        )
    except BaseException:
        shutil.rmtree(db.run_folder(row["id"]), ignore_errors=True)
        raise
    return checkpoints


def _no_checkpoint(name: str) -> BadInput:
    return BadInput(f"run {name} has no checkpoint to go on from: train a new run with --steps instead")
