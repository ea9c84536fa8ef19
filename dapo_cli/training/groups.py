"""Several seeds of one configuration in one process, in step (`dapo train --seeds 0-4 --vectorise`); each is a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import algorithms
from algorithms.learner.seed_group import SeedGroup
from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput, RunFailed
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.execution import Execution
from dapo_cli.training.making import Trainee, lock, make, new_row
from dapo_cli.training.members import Member, reopened, train
from store.records import runs
from store.records.recorder import Recorder
from store.schema.models import Run
from store.session import Database


def start(config: RunConfig, seeds: Sequence[int], location: str) -> list[str]:
    """Trains a run of this configuration for each seed, in step, and returns their ids; otherwise like `session.start`.

    Raises RunFailed at the end if some failed or diverged.
    """
    if algorithms.on_policy(config.algorithm):
        raise BadInput(f"{config.settings.algo} learns from rollouts: train its seeds without --vectorise")
    execution, remark = Execution.decide(config, len(seeds))
    with ExitStack() as stack:
        trainees = [make(stack, configuration.seeded(config, seed), execution) for seed in seeds]
        db = stack.enter_context(Database.write(location))
        group = {"group_id": runs.new_run_id()}
        members = []
        for trainee in trainees:
            row = new_row(trainee) | group
            run_id = str(row["id"])
            lock(stack, db, run_id)
            runs.create(db, run=row, hyperparameters=trainee.config.rows(), tags=config.tags)
            members.append(Member(run_id, trainee, Checkpoints(db, run_id), Recorder(db, run_id)))
        if remark:
            members[0].remarks.append(remark)
        _train(stack, db, members)
    return [member.run_id for member in members]


def resume(location: str, run: dict[str, Any]) -> None:
    """Trains a run and what else of its group is interrupted on to their end, those at the same step together."""
    with Database.read(location) as db:
        group = runs.listing(db, where=Run.group_id == run["group_id"])
        going = [other for other in group if other["status"] == "interrupted"]
        going = going if run["id"] in [other["id"] for other in going] else [run]
        rows = {str(other["id"]): other for other in sorted(going, key=lambda other: int(other["seed"]))}
        kept = {run_id: runs.hyperparameters(db, run_id) for run_id in rows}
    with ExitStack() as stack:
        trainees = {}
        for run_id, row in rows.items():
            config = configuration.restore(row, kept[run_id])
            trainees[run_id] = make(stack, config, Execution.pinned(row, config))
        db = stack.enter_context(Database.write(location))
        at_step: dict[int, list[tuple[str, Checkpoints, Loaded | None, list[str]]]] = {}
        for run_id, trainee in trainees.items():
            lock(stack, db, run_id)
            checkpoints = Checkpoints(db, run_id)
            loaded, complaints = checkpoints.load(trainee.learner, forget=True)
            found = (run_id, checkpoints, loaded, complaints)
            at_step.setdefault(loaded.step if loaded else 0, []).append(found)
        failures = []
        for together in at_step.values():
            members = [reopened(db, rows[found[0]], trainees[found[0]], *found[1:]) for found in together]
            try:
                _train(stack, db, members)
            except RunFailed as error:
                failures.append(error)
        if failures:
            raise failures[0] if len(failures) == 1 else RunFailed("; ".join(map(str, failures)))


def _train(stack: ExitStack, db: Database, members: Sequence[Member]) -> None:
    first: Trainee = members[0].trainee
    learners: list[Any] = [member.trainee.learner for member in members]
    group: Any = SeedGroup(learners, first.execution.group_size or len(learners))
    train(stack, db, members, group.update, group.leave)
