"""What `dapo sweep` and `dapo reproduce` do alike: show a plan, work it off, say what it came to."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from dapo_cli import console

if TYPE_CHECKING:
    from dapo_cli.sweeps.plan import Plan
    from store.sweeps import Enqueued


def print_plan(plan: Plan, location: str, jobs: int, as_json: bool) -> None:
    """What --dry-run prints: what varies, how many runs, how long, how large."""
    from dapo_cli.sweeps import preview
    from dapo_cli.sweeps.estimate import estimate, measure

    measured = measure(location, plan.configs)
    guess = estimate(measured, plan.waiting, jobs)
    if as_json:
        console.print_json(preview.record(plan, guess, jobs))
        return
    header, rows = preview.table(preview.groups(plan, measured))
    console.print_table(header, rows, right=("each",))
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
    from dapo_cli.sweeps import dashboard, supervisor

    name = plan.definition.name
    order = supervisor.Order(name, jobs, modules=modules(plan))
    with dashboard.screen(name) as screen:
        ended = supervisor.work(location, order, screen)
    return say_result(location, name, as_json, ended)


def modules(plan: Plan) -> list[str]:
    """The modules that a plan's environments are imported from, which the user has named there."""
    return sorted({config.settings.env.rpartition(":")[0] for config in plan.configs} - {""})


def say_result(location: str, name: str, as_json: bool, ended: Counter[str] | None = None) -> bool:
    """What a sweep came to, and what to type next. Whether no run of it failed.

    `ended`: how many runs ended in which status this time, where that is known.
    """
    from dapo_cli.project_file import database_location
    from store import runs, sweeps
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
        console.info(f"next: dapo compare {choice}   dapo plot {choice}   dapo report {choice}")
    return not states["failed"]


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
