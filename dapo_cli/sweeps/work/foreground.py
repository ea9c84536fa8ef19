"""A sweep in the foreground: show its plan, work it off here, say what it came to."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dapo_cli.configuration.assignments import assignment
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.sweeps.definition.plan import Plan
    from dapo_cli.sweeps.definition.sweep_file import Definition
    from dapo_cli.sweeps.work.supervisor import Screen
    from store.queue.sweeps import Enqueued
    from store.session import Database


def print_plan(plan: Plan, location: str, jobs: int, as_json: bool) -> None:
    """What --dry-run prints: what varies, how many runs, how long, how large."""
    from dapo_cli.sweeps.definition import preview
    from dapo_cli.sweeps.definition.estimate import estimate, measure

    measured = measure(location, plan.configs)
    guess = estimate(measured, plan.waiting, jobs)
    if as_json:
        console.print_json(preview.record(plan, guess, jobs))
        return
    header, rows = preview.table(preview.groups(plan, measured))
    console.print_table(header, rows, right=("each",), keys=header[:-3])
    for line in preview.closing(plan, guess, jobs):
        console.info(line)


def say_queued(plan: Plan, queued: Enqueued) -> None:
    """One line on what became of the sweep's runs."""
    parts = {"new": queued.added, "shared with others": queued.shared, "known": queued.known}
    words = ", ".join(f"{len(ids)} {what}" for what, ids in parts.items() if ids)
    console.info(f"sweep {plan.definition.name}: {_runs(len(plan.configs))} ({words})")
    if plan.gone:
        console.info(f"{_runs(len(plan.gone))} of the sweep, which it no longer names, stay in it")


def work_off(location: str, plan: Plan, jobs: int, as_json: bool) -> bool:
    """Train what waits of a sweep, here; prints what it came to. Whether no run of it failed.

    Raises Interrupted, with the runs back in the queue.
    """
    from store.queue import sweeps
    from store.session import Database

    name = plan.definition.name
    with Database.read(location) as db:
        sweep_id = sweeps.get(db, name)["id"]
    ended = _work(location, name, jobs, (config.settings.env for config in plan.configs))
    with Database.read(location) as db:  # its name may be another by now
        name = next((sweep["name"] for sweep in sweeps.listing(db) if sweep["id"] == sweep_id), name)
    return say_result(location, name, as_json, ended)


def modules(envs: Iterable[str]) -> list[str]:
    """The modules that environments are imported from, which the user has named there."""
    return sorted({env.rpartition(":")[0] for env in envs} - {""})


def say_result(location: str, name: str, as_json: bool, ended: Counter[str] | None = None) -> bool:
    """What a sweep came to, and what to type next. Whether no run of it failed.

    `ended`: how many runs ended in which status this time, where that is known.
    """
    from dapo_cli.configuration.project_file import database_location
    from store.queue import sweeps
    from store.records import runs
    from store.session import Database

    with Database.read(location) as db:
        members = runs.listing(db, where=sweeps.members(sweeps.get(db, name)["id"]))
    states = Counter(run["status"] for run in members)
    if as_json:
        console.print_json({"sweep": name, "states": dict(states), "ended": None if ended is None else dict(ended)})
    else:
        said = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        place = "" if location == database_location(None) or "://" in location else f" --db {shlex.quote(location)}"
        choice = f"--sweep {shlex.quote(name)}{place}"
        console.info(f"sweep {name}: {_runs(len(members))}, {said}")
        if states["failed"]:
            console.info(f"again: dapo sweep retry {shlex.quote(name)}{place}")
        console.info("next:")
        for command in ("compare", "plot", "report"):
            console.info(f"  dapo {command} {choice}")
    return not states["failed"]


def _work(
    location: str, name: str, jobs: int, envs: Iterable[str], watch: Callable[[Database], None] | None = None
) -> Counter[str]:
    """Train what waits of a sweep, in environments that the user named; `watch` is called about every second."""
    from dapo_cli.sweeps.work import dashboard, supervisor

    order = supervisor.Order(name, jobs, modules=modules(envs))
    with dashboard.screen(name) as screen:
        return supervisor.work(location, order, screen if watch is None else _Watched(screen, watch))


class _Watched:
    """A worker's screen behind which somebody else looks, too."""

    def __init__(self, screen: Screen, watch: Callable[[Database], None]) -> None:
        self._screen, self._watch = screen, watch
        self.happened, self.warn = screen.happened, screen.warn

    def look(self, db: Database) -> None:
        """Called about every second."""
        self._screen.look(db)
        self._watch(db)


def search(location: str, definition: Definition, jobs: int, dry_run: bool, as_json: bool) -> None:
    """Search for hyperparameters, trial by trial, or say what would be searched for."""
    from dapo_cli.sweeps.definition.search_space import Trial, propose, read
    from dapo_cli.sweeps.work import search as searching
    from dapo_cli.terminal.formatting import number_text

    asked = read(definition)
    first = asked.configs(propose(asked, 0, []))
    size = f"{asked.trials} trials of {_runs(len(first))} each, by {asked.measure}"
    if dry_run:
        words = {name: str(value) for name, value in asked.parameters.items()}
        console.print_fields({"search": f"{definition.name}: {size}", **words, "pruner": asked.pruner}, indent=0)
        return
    settings = first[0].settings
    console.info(f"search {definition.name}: {settings.algo} on {settings.env}, {size}")

    def say(number: int, trial: Trial) -> None:
        values = ", ".join(f"{name} = {value}" for name, value in trial.values.items())
        given_up = f"given up after {max(trial.evaluations, default=0)} steps" if trial.pruned else "no score"
        console.info(f"trial {number}: {values}: {given_up if trial.score is None else number_text(trial.score)}")

    def work(watch: Callable[[Database], None]) -> None:
        _work(location, definition.name, jobs, [settings.env], watch)

    trials = searching.run(location, definition, asked, work, say)
    found = searching.best(asked, trials)
    if as_json:
        best = found and {"values": found.values, "score": found.score}
        console.print_json({"sweep": definition.name, "best": best, "trials": [trial._asdict() for trial in trials]})
    elif found:
        chosen = " ".join(f"--set {shlex.quote(assignment(name, value))}" for name, value in found.values.items())
        console.info(f"best: {number_text(found.score)}; next, with seeds that the search has not seen: {chosen}")
    else:
        console.info("no trial has a score")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
