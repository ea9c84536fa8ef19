"""From what logs tell and what the user adds to runs on record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dapo_cli
from dapo_cli.errors import BadInput
from dapo_cli.interchange import formats
from dapo_cli.interchange.formats import Reading
from dapo_cli.interchange.logs import Log
from store.records import imports, runs
from store.schema.models import Run

if TYPE_CHECKING:
    from store.session import Database

_SEED_PIECE = re.compile(r"(?<![A-Za-z0-9])(?:seed[_-]?|s)(\d{1,18})(?![A-Za-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """What the user says about the runs; None where the files or their paths are to tell."""

    algo: str | None = None
    env: str | None = None
    seed: int | None = None
    steps: int | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None
    command: str | None = None
    again: bool = False


class Imported(NamedTuple):
    """One run on record: its id, whether it is new, and what it was read from, with all columns resolved."""

    run_id: str
    new: bool
    log: Log


def read(paths: Sequence[Path], how: Reading, given: Given) -> list[Log]:
    """Everything that the paths hold, complete: each log has its algorithm, environment and seed. Raises BadInput.

    All is read before anything is written, so that one bad path leaves no part of the others behind.
    """
    places = [path.resolve() for path in paths]
    if len(set(places)) < len(places):
        raise BadInput("one path is named twice: name each once")
    if given.seed is not None and len(paths) > 1:
        raise BadInput(f"--seed: {len(paths)} runs of one seed? Leave it out, or import them one by one")
    logs = []
    for path in paths:
        for log in formats.read(path, how):
            _complete(log, given)
            logs.append(log)
    return logs


def record(database: Database, logs: Sequence[Log], given: Given) -> Iterator[Imported]:
    """Put each log on record in a transaction of its own, unless the same content is there already."""
    ids: dict[str, str] = {}  # of runs that dapo exported: then -> now
    for log in logs:
        if log.original and not given.again and runs.count(database, Run.id == log.original):
            yield Imported(log.original, False, log)
            continue
        parent = str(log.run.get("parent") or "")
        settings = {row["name"]: row for row in log.settings}
        for name, value in (given.settings or {}).items():
            settings[name] = {"name": name, "value": value, "origin": "command line"}
        run_id, new = imports.record(
            database,
            run={**_columns(log, given), "parent": ids.get(parent, parent) or None},
            origin=_origin(log),
            hyperparameters=list(settings.values()),
            tags=[*log.tags, *given.tags],
            episodes=log.episode_rows(),
            evaluations=log.evaluation_rows(),
            metrics=log.metric_rows(),
            again=given.again,
        )
        if log.original:
            ids[log.original] = run_id
        yield Imported(run_id, new, log)


def _complete(log: Log, given: Given) -> None:
    for name in ("algo", "env"):
        wanted, told = getattr(given, name), getattr(log, name)
        if wanted and told and wanted != told:
            log.remarks.append(f"the files say {name} {told}; recorded as {wanted}")
        if not wanted and not told:
            raise BadInput(f"{log.path} does not tell the {_WORDS[name]}: add --{name} {name.upper()}")
        setattr(log, name, wanted or told)
    if given.seed is not None:
        if log.seed not in (None, given.seed):
            log.remarks.append(f"the files say seed {log.seed}; recorded as {given.seed}")
        log.seed = given.seed
    elif log.seed is None:
        found = {int(digits) for digits in _SEED_PIECE.findall(str(log.path))}
        if len(found) != 1:
            problem = f"names the seeds {sorted(found)}" if found else "does not tell the seed"
            raise BadInput(f"{log.path} {problem}: add --seed N, or let its path have one piece such as seed_3 or s3")
        log.seed = found.pop()
        log.remarks.append(f"seed {log.seed} is from the path {log.path}")
    if given.steps is not None and given.steps < log.last_step:
        raise BadInput(f"--steps {given.steps}: {log.path} goes on to step {log.last_step}: leave it out")


_WORDS = {"algo": "algorithm", "env": "environment"}


def _columns(log: Log, given: Given) -> dict[str, Any]:
    """The columns of `run`."""
    told = {"status": "completed", "steps": log.last_step, **log.run}
    told |= {"algo": log.algo, "env": log.env, "seed": log.seed, "step": log.last_step, "wall_time": log.wall_time}
    told |= {"source": log.source, "command": given.command}
    if given.steps is not None:
        told["steps"] = given.steps
    return told if given.note is None else {**told, "note": given.note}


def _origin(log: Log) -> dict[str, Any]:
    """The data of the event that says from where."""
    origin = {
        "path": str(log.path.resolve()),
        "source": log.source,
        "sha256": log.sha256,
        "files": log.files,
        "imported_by": f"dapo {dapo_cli.__version__}",
        "remarks": log.remarks,
    }
    return origin if log.original is None else {**origin, "run": log.original}
