"""How long a sweep will take and how much it will fill, from what runs in the same database took."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.training.execution import COMPILE_FROM
from store.connection import run_files
from store.records import runs, settings
from store.schema.models import Run
from store.session import Database

STEP_PER_UPDATE = 1 / 30
"""What an environment step with its share of everything else costs, in gradient steps: 0.2 ms beside 7 ms."""

LEAST_UPDATES = 100  # gradient steps of a run that says something about speed
_NO_STRUCTURE = {"learning_starts", "buffer_size", "m"}  # whole numbers that do not change what an update costs
_MANY = 1000  # of the newest runs: enough to know a speed

Key = tuple[Any, ...]


class Measured(NamedTuple):
    """Of runs in the database, the medians: seconds per unit of work, bytes of files; bytes of rows per step."""

    exact: Mapping[Key, float]
    similar: Mapping[Key, float]  # by algorithm and environment only
    files: Mapping[Key, float]
    row_bytes: float | None


class Estimate(NamedTuple):
    """`seconds` with so many jobs side by side, of the runs whose speed is known; `unknown` runs come on top.

    `similar`: how many rest on runs of other sizes. `bytes`: of files and rows at the end; None where none is measured.
    """

    seconds: float
    known: int
    similar: int
    unknown: int
    bytes: int | None


def measure(location: str, configs: Iterable[RunConfig]) -> Measured:
    """What the runs of these algorithms and environments took. Nothing for a database that does not exist."""
    pairs = {(config.settings.algo, config.settings.env) for config in configs}
    if "://" not in location and not Path(location).expanduser().exists():
        return Measured({}, {}, {}, None)
    with Database.read(location) as db:
        named = Run.algo.in_({algo for algo, _ in pairs}) & Run.env.in_({env for _, env in pairs})
        trained = Run.kind.in_(("train", "tuning")) & Run.source.is_(None) & Run.parent.is_(None) & (Run.wall_time > 0)
        trained &= Run.group_size.is_(None)  # what one takes beside others tells nothing of one alone
        rows = runs.listing(db, where=named & trained, limit=_MANY)
        values = settings.values(db, [row["id"] for row in rows])
        exact: dict[Key, list[float]] = {}
        similar: dict[Key, list[float]] = {}
        files: dict[Key, list[float]] = {}
        for row in rows:
            config = _restored(row, values[row["id"]])
            pair = (row["algo"], row["env"])
            if config is None:
                continue
            if config.hyperparameters.gradient_steps(row["step"]) >= LEAST_UPDATES:
                speed = row["wall_time"] / _work(config, row["step"])
                exact.setdefault(_key(config, bool(row["compiled"])), []).append(speed)
                similar.setdefault(pair, []).append(speed)
            # Without its folder, as in a copy or an example, a run has no size that another could be measured by.
            if row["status"] == "completed" and (folder := db.run_folder(row["id"])).is_dir():
                files.setdefault(_place(config), []).append(run_files.size(folder))
        steps = sum(row["step"] for row in runs.listing(db))
        row_bytes = db.path.stat().st_size / steps if db.path is not None and steps else None
    return Measured(_medians(exact), _medians(similar), _medians(files), row_bytes)


def estimate(measured: Measured, waiting: Sequence[tuple[RunConfig, int]], jobs: int) -> Estimate:
    """Time and space of runs that have made so many steps each, `jobs` at a time in this order."""
    ends = [0.0] * max(jobs, 1)
    known = similar = unknown = 0
    size: float | None = 0.0
    for config, step in waiting:
        pair = (config.settings.algo, config.settings.env)
        speed = measured.exact.get(_key(config, _compiles(config)))
        if speed is None and pair in measured.similar:
            speed, similar = measured.similar[pair], similar + 1
        if speed is None:
            unknown += 1
        else:
            known += 1
            seconds = speed * (_work(config, config.settings.steps) - _work(config, step))
            heapq.heappush(ends, heapq.heappop(ends) + max(seconds, 0.0))
        if size is not None and _place(config) in measured.files and measured.row_bytes is not None:
            size += measured.files[_place(config)] + measured.row_bytes * (config.settings.steps - step)
        else:
            size = None
    return Estimate(max(ends), known, similar, unknown, None if size is None else round(size))


def _work(config: RunConfig, steps: int) -> float:
    """What so many environment steps cost, in gradient steps."""
    return config.hyperparameters.gradient_steps(steps) + STEP_PER_UPDATE * steps


def _place(config: RunConfig) -> Key:
    """What the files of a run that has ended depend on."""
    return (config.settings.algo, config.settings.env, config.settings.keep_replay)


def _key(config: RunConfig, compiled: bool) -> Key:
    """What an update's cost depends on: algorithm, environment, sizes and ways of computing, and no real number."""
    values = config.hyperparameters.model_dump()
    sizes = [(name, value) for name, value in values.items() if not isinstance(value, float)]
    structure = tuple((name, value) for name, value in sizes if name not in _NO_STRUCTURE)
    settings = config.settings
    return (settings.algo, settings.env, settings.threads, compiled, structure)


def _compiles(config: RunConfig) -> bool:
    if config.settings.compile != "auto":
        return config.settings.compile == "on"
    return config.hyperparameters.gradient_steps(config.settings.steps) >= COMPILE_FROM


def _restored(row: Mapping[str, Any], values: Mapping[str, Any]) -> RunConfig | None:
    rows = [{"name": name, "value": value, "origin": "default"} for name, value in values.items()]
    try:
        return configuration.restore(row, rows)
    except BadInput:  # of another version of dapo, or of a plug-in that is not here
        return None


def _medians(lists: Mapping[Key, list[float]]) -> dict[Key, float]:
    return {key: median(values) for key, values in lists.items()}
