"""How far sweeps are: counts, groups of the grid, best so far, workers, time left; for `dapo sweep status`, too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.terminal.formatting import duration_text, mean_of, number_text, progress_text
from store.queue import sweeps, workers
from store.records import runs, settings, summaries
from store.session import Database

DONE = ("completed", "diverged", "failed", "cancelled")
ORDER = ("completed", "running", "queued", "interrupted", "diverged", "failed", "cancelled")
"""The statuses as they are listed."""


class GroupState(NamedTuple):
    """The runs of a sweep that differ only in their seed."""

    key: tuple[str, ...]  # the values of what varies
    env: str
    counts: Mapping[str, int]  # status -> runs
    step: int  # of all of its runs together
    steps: int
    mean: float | None  # of the runs' last evaluations; None without any
    best: bool  # the highest of its environment so far


class Picture(NamedTuple):
    """A sweep at one moment."""

    name: str
    state: str
    counts: Mapping[str, int]
    step: int
    steps: int
    speed: float | None  # environment steps a second, of the runs that train now together
    left: float | None  # seconds, at the speeds measured so far; None where none is known or nobody works
    workers: Sequence[Mapping[str, Any]]
    varying: tuple[str, ...]
    groups: Sequence[GroupState]


class Overview:
    """Pictures of one sweep (by name), or of every one that was not done at first; what never changes is read once."""

    def __init__(self, sweep: str | None) -> None:
        self._sweep = sweep
        self._followed: set[str] = set()  # ids of the sweeps that are shown
        self._keys: dict[str, tuple[frozenset[str], tuple[str, ...], dict[str, tuple[str, ...]]]] = {}

    def pictures(self, db: Database) -> list[Picture]:
        """SweepNotFound."""
        if self._sweep is None:
            self.follow(db)
        elif not self._followed:
            self._followed.add(sweeps.get(db, self._sweep)["id"])  # its name may change while it is followed
        found = [sweep for sweep in sweeps.listing(db) if sweep["id"] in self._followed]
        working = workers.listing(db)
        return [self._picture(db, sweep, working) for sweep in found]

    def follow(self, db: Database) -> None:
        """Note which sweeps are not done, to show them also when they are; of one sweep, nothing."""
        self._followed |= sweeps.unfinished(db) if self._sweep is None else set()

    def _picture(self, db: Database, sweep: Mapping[str, Any], working: Iterable[Mapping[str, Any]]) -> Picture:
        rows = sweeps.progress(db, sweep["id"])
        varying, keys = self._groups(db, sweep["id"], rows)
        finals = summaries.final_evaluation(db, sweeps.members(sweep["id"]))
        grouped: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for row in rows:
            grouped.setdefault(keys[row["id"]], []).append(row)
        groups = _with_best([_group(key, members, finals) for key, members in grouped.items()])
        serving = [worker for worker in working if worker["sweep"] in (None, sweep["name"])]
        slots = sum(worker["jobs"] for worker in serving if worker["alive"])
        running = [row for row in rows if row["status"] == "running"]
        speeds = [row["step"] / row["wall_time"] for row in running if row["wall_time"] > 0 and row["step"]]
        return Picture(
            name=sweep["name"],
            state=sweep["state"],
            counts=Counter(row["status"] for row in rows),
            step=sum(_step(row) for row in rows),
            steps=sum(row["steps"] for row in rows),
            speed=sum(speeds) if speeds else None,
            left=_seconds_left(grouped.values(), max(slots, len(running))),
            workers=serving,
            varying=varying,
            groups=groups,
        )

    def _groups(
        self, db: Database, sweep_id: str, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
        """What varies beside the seed, and each run's values of it."""
        ids = frozenset(row["id"] for row in rows)
        if sweep_id not in self._keys or self._keys[sweep_id][0] != ids:
            values = settings.values(db, sorted(ids))
            whole = {row["id"]: {"algo": row["algo"], "env": row["env"], **values[row["id"]]} for row in rows}
            varying = _varying(list(whole.values()))
            keys = {id_: tuple(_text(run.get(name, "")) for name in varying) for id_, run in whole.items()}
            self._keys[sweep_id] = ids, varying, keys
        return self._keys[sweep_id][1:]


def _varying(configurations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names whose values differ among configurations that have them: `algo`, `env`, then by name.

    That another algorithm has a hyperparameter, or another default of it, is no variation of its own.
    """
    names = dict.fromkeys(name for run in configurations for name in run)
    by_algo: dict[Any, list[Mapping[str, Any]]] = {}
    for run in configurations:
        by_algo.setdefault((run["algo"], run["env"]), []).append(run)
    found = [
        name
        for name in names
        if name not in ("algo", "env") and any(len({repr(r.get(name)) for r in part}) > 1 for part in by_algo.values())
    ]
    return ("algo", "env", *sorted(found))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _step(row: Mapping[str, Any]) -> int:
    """What a run counts for in a sweep's progress: one that has ended needs no more steps."""
    return int(row["steps"] if row["status"] in DONE else min(row["step"], row["steps"]))


def _group(key: tuple[str, ...], members: Sequence[Mapping[str, Any]], finals: Mapping[str, Any]) -> GroupState:
    means = [finals[row["id"]]["mean"] for row in members if row["id"] in finals]
    return GroupState(
        key,
        str(members[0]["env"]),
        Counter(row["status"] for row in members),
        sum(_step(row) for row in members),
        sum(row["steps"] for row in members),
        mean_of(means) if means else None,
        False,
    )


def _with_best(groups: Sequence[GroupState]) -> list[GroupState]:
    highest: dict[str, float] = {}
    for group in groups:
        if group.mean is not None and math.isfinite(group.mean):
            highest[group.env] = max(group.mean, highest.get(group.env, -math.inf))
    return [group._replace(best=group.mean is not None and group.mean == highest.get(group.env)) for group in groups]


def _seconds_left(groups: Iterable[Sequence[Mapping[str, Any]]], slots: int) -> float | None:
    """Each run's remaining steps at its group's measured speed, or all runs' where it has none, shared by the slots."""
    measured = []
    total = [0.0, 0.0]
    for group in groups:
        timed = [row for row in group if row["wall_time"] > 0]
        steps, seconds = sum(row["step"] for row in timed), math.fsum(row["wall_time"] for row in timed)
        total = [total[0] + steps, total[1] + seconds]
        remaining = sum(row["steps"] - _step(row) for row in group)
        measured.append((remaining, steps / seconds if steps and seconds else None))
    if not slots or not total[0] or not total[1]:
        return None
    return math.fsum(remaining / (speed or total[0] / total[1]) for remaining, speed in measured) / slots


def line(picture: Picture) -> str:
    """`12/40 runs, 2 running, 26 queued, 30%, 850 steps/s, 2 h 5 min left`."""
    counts, total = picture.counts, sum(picture.counts.values())
    parts = [f"{sum(counts.get(status, 0) for status in DONE)}/{total} runs"]
    parts += [f"{counts[status]} {status}" for status in ORDER if status != "completed" and counts.get(status)]
    if picture.steps:
        parts.append(f"{100 * picture.step // picture.steps}%")
    if picture.state != "active":
        parts.append(picture.state)
    if picture.speed:
        parts.append(f"{picture.speed:.0f} steps/s")
    if picture.left:
        parts.append(f"{duration_text(picture.left)} left")
    return ", ".join(parts)


def table(picture: Picture) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The groups as columns and rows of text; `*` marks the best of each environment."""
    columns = (*picture.varying, "done", "steps", "return")
    rows = []
    for group in picture.groups:
        done = sum(group.counts.get(status, 0) for status in DONE)
        bad = [f"{group.counts[status]} {status}" for status in DONE[1:] if group.counts.get(status)]
        text = f"{done}/{sum(group.counts.values())}" + (f" ({', '.join(bad)})" if bad else "")
        mean = number_text(group.mean) + (" *" if group.best and len(picture.groups) > 1 else "")
        rows.append((*group.key, text, progress_text(group.step, group.steps), mean))
    return columns, rows


def worker_line(worker: Mapping[str, Any]) -> str:
    """`worker 3f2a91 on host, process 4711, 2 jobs`."""
    jobs = f"{worker['jobs']} job{'s' if worker['jobs'] != 1 else ''}"
    gone = "" if worker["alive"] else ", gone"
    return f"worker {worker['id'][:6]} on {worker['host']}, process {worker['pid']}, {jobs}{gone}"


def as_json(picture: Picture) -> dict[str, Any]:
    """The picture as an object of plain values."""
    groups = [
        {
            "settings": dict(zip(picture.varying, group.key, strict=True)),
            "counts": dict(group.counts),
            **{name: getattr(group, name) for name in ("step", "steps", "mean", "best")},
        }
        for group in picture.groups
    ]
    return {**picture._asdict(), "counts": dict(picture.counts), "workers": list(picture.workers), "groups": groups}


def describe(db: Database, run_id: str) -> str:
    """`run 3f2a91 (dapo-kl on Hopper-v4, seed 3)`, or the id alone of one that was deleted."""
    name = runs.shorten(db).get(run_id)
    if name is None:
        return f"run {run_id}"
    run = runs.get(db, run_id)
    return f"run {name} ({run['algo']} on {run['env']}, seed {run['seed']})"
