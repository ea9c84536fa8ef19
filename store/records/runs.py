"""Runs: made, found, described, finished, deleted. Plain functions over a Database.

A run is named by its id, 16 hexadecimal digits; `resolve` finds it by any unique prefix.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal, select, update
from sqlalchemy.orm import Session

from store.errors import AmbiguousRun, RunNotFound
from store.records.deletion import delete as delete
from store.records.insertion import NewRun, encoded, event_row, insert_runs
from store.records.insertion import new_run_id as new_run_id
from store.records.liveness import dead_runs, status_expression
from store.records.summaries import latest as latest
from store.schema.encoding import clean, decode_json, decode_setting, now
from store.schema.models import (
    STATUSES,
    Base,
    Checkpoint,
    Episode,
    Evaluation,
    Event,
    Hyperparameter,
    Metric,
    Run,
    Tag,
)
from store.session import Database

_RUN = Run.__table__
_ENDED = ("interrupted", "completed", "diverged", "failed")


def create(
    db: Database,
    *,
    run: Mapping[str, Any],
    hyperparameters: Iterable[Mapping[str, Any]] = (),
    tags: Iterable[str] = (),
) -> str:
    """Record a new run and return its id; its first event is "created".

    `run` maps columns of the table to values: `algo`, `env`, `seed` and `steps` are needed; `versions` is a dict;
    `id` may be given, so that the run's lock is taken first; the status is "running" unless given. Each of
    `hyperparameters` has `name`, `value` (bool, int, float, str, list or None), `origin` and perhaps `symbol`.
    """
    with db.transaction(shared=True) as session:
        return insert_runs(session, [NewRun(run, list(hyperparameters), list(tags))])[0]


def extend(
    db: Database,
    *,
    run: Mapping[str, Any],
    checkpoint: Mapping[str, Any],
    message: str,
    hyperparameters: Iterable[Mapping[str, Any]] = (),
    tags: Iterable[str] = (),
) -> str:
    """Record a new run that goes on from a checkpoint of its `run["parent"]`, all or nothing; otherwise like `create`.

    The parent's episodes, evaluations and metrics up to the checkpoint's step become the new run's, too. `checkpoint`
    is as for `add_checkpoint`, its files in the new run's folder; an event "extended" with `message` says the step.
    """
    step = checkpoint["step"]
    with db.transaction(durable=True, shared=True) as session:
        new = NewRun({**run, "step": step}, list(hyperparameters), list(tags))
        run_id = insert_runs(session, [new])[0]
        for model in (Episode, Evaluation, Metric):
            table = Base.metadata.tables[model.__tablename__]
            names = [column.name for column in table.c if column.name != "run_id"]
            rows = select(literal(run_id), *(table.c[name] for name in names))
            rows = rows.where(table.c.run_id == run["parent"], table.c.step <= step)
            session.execute(insert(table).from_select(["run_id", *names], rows))
        session.execute(insert(Checkpoint).values(_checkpoint_row(run_id, **checkpoint)))
        inherited = {"parent": run["parent"], "wall_time": run.get("wall_time", 0.0)}
        session.execute(insert(Event).values(event_row(run_id, "extended", message, step, inherited)))
    return run_id


def resolve(db: Database, prefix: str) -> str:
    """The id of the one run whose id starts with `prefix`; RunNotFound, AmbiguousRun (with up to 5 candidates)."""
    wanted = clean(prefix).strip().lower()
    with db.connect() as session:
        query = select(Run.id).where(Run.id.startswith(wanted, autoescape=True)).order_by(Run.id)
        found = session.scalars(query.limit(7)).all() if wanted else []
        names = _prefixes(session.scalars(select(Run.id))) if len(found) > 1 else {}
    if wanted in found or len(found) == 1:
        return wanted if wanted in found else found[0]
    if not found:
        raise _not_found(db, clean(prefix))
    shown = ", ".join(names[id_] for id_ in found[:5]) + (", …" if len(found) > 5 else "")
    raise AmbiguousRun(f"run {wanted!r} could be any of {shown}: write more of its id")


def get(db: Database, run_id: str) -> dict[str, Any]:
    """All columns of a run, with its effective status, `versions` as a dict, and `tags` as a sorted list."""
    rows = listing(db, where=Run.id == run_id)
    if not rows:
        raise _not_found(db, run_id)
    return rows[0]


def listing(
    db: Database,
    *,
    where: ColumnElement[bool] | None = None,
    order_by: Sequence[ColumnElement[Any]] = (),
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Runs as `get` returns them, newest first unless `order_by` says otherwise."""
    dead = dead_runs(db)
    query = select(_RUN, status_expression(dead).label("effective_status"))
    if where is not None:
        query = query.where(where)
    query = query.order_by(*order_by, Run.created_at.desc(), Run.id).limit(limit)
    with db.connect() as session:
        rows = [dict(row) for row in session.execute(query).mappings()]
        tags = tags_of(session, [row["id"] for row in rows])
    for row in rows:
        row["status"] = row.pop("effective_status")
        row["versions"] = decode_json(row["versions"])
        row["tags"] = tags.get(row["id"], [])
    return rows


def count(db: Database, where: ColumnElement[bool] | None = None) -> int:
    """How many runs there are (for which `where` is true)."""
    query = select(func.count()).select_from(Run)
    with db.connect() as session:
        return session.scalar(query if where is None else query.where(where)) or 0


def hyperparameters(db: Database, run_id: str) -> list[dict[str, Any]]:
    """The settings of a run by name: dicts of `name`, `value` (decoded), `type`, `origin` and `symbol`."""
    columns = (
        Hyperparameter.name,
        Hyperparameter.value,
        Hyperparameter.type,
        Hyperparameter.origin,
        Hyperparameter.symbol,
    )
    query = select(*columns).where(Hyperparameter.run_id == run_id).order_by(Hyperparameter.name)
    with db.connect() as session:
        rows = [dict(row) for row in session.execute(query).mappings()]
    return [{**row, "value": decode_setting(row["value"], row["type"])} for row in rows]


def set_status(db: Database, run_id: str, status: str, reason: str | None = None, **columns: Any) -> None:
    """Change a run's status, and any other columns by name. RunNotFound.

    "running" clears the end, counts as a sign of life and names this process; an end status sets `ended_at`.
    """
    if status not in STATUSES:
        raise ValueError(f"no such status: {status}")
    time = now()
    values: dict[str, Any] = {"status": status, "reason": reason, "ended_at": time if status in _ENDED else None}
    if status == "running":
        values |= {"heartbeat_at": time, "host": socket.gethostname(), "pid": os.getpid()}
        values["started_at"] = func.coalesce(Run.started_at, time)
    values |= columns
    with db.transaction(shared=True) as session:
        if session.get(Run, run_id) is None:
            raise RunNotFound(f"run {run_id!r} is no longer in {db.location}: it was deleted, so train it anew")
        session.execute(update(Run).where(Run.id == run_id).values(encoded(values)))


def events(db: Database, run_id: str) -> list[dict[str, Any]]:
    """What happened to a run, oldest first: dicts of `created_at`, `step`, `kind`, `message` and `data` (decoded)."""
    columns = (Event.created_at, Event.step, Event.kind, Event.message, Event.data)
    with db.connect() as session:
        rows = session.execute(select(*columns).where(Event.run_id == run_id).order_by(Event.id)).mappings()
        return [{**row, "data": decode_json(row["data"])} for row in rows]


def checkpoints(db: Database, run_id: str) -> list[dict[str, Any]]:
    """The complete checkpoints of a run, newest first: dicts of `step`, `path`, `bytes`, `sha256`, `created_at`."""
    columns = (Checkpoint.step, Checkpoint.path, Checkpoint.bytes, Checkpoint.sha256, Checkpoint.created_at)
    query = select(*columns).where(Checkpoint.run_id == run_id).order_by(Checkpoint.step.desc())
    with db.connect() as session:
        return [dict(row) for row in session.execute(query).mappings()]


def add_checkpoint(db: Database, run_id: str, *, step: int, path: str, size: int, sha256: str) -> None:
    """Record, durably, a checkpoint whose files are whole and on disk; one at the same step is replaced.

    `path` is relative to `db.run_folder(run_id)`, `size` in bytes.
    """
    row = _checkpoint_row(run_id, step=step, path=path, size=size, sha256=sha256)
    with db.transaction(durable=True, shared=True) as session:
        session.merge(Checkpoint(**row))


def remove_checkpoint(db: Database, run_id: str, step: int) -> None:
    """Forget a checkpoint. Do so before its files are deleted: a row means that the files are whole."""
    with db.transaction(durable=True, shared=True) as session:
        row = session.get(Checkpoint, (run_id, step))
        if row is not None:
            session.delete(row)


def shorten(ids: Database | Iterable[str]) -> dict[str, str]:
    """Each id with its shortest prefix of at least 6 digits that no other has; of a Database, all of its runs'."""
    if isinstance(ids, Database):
        with ids.connect() as session:
            return _prefixes(session.scalars(select(Run.id)))
    return _prefixes(ids)


def tags_of(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of runs, sorted; a run without tags is left out."""
    tags: dict[str, list[str]] = {}
    query = select(Tag.run_id, Tag.tag).order_by(Tag.tag)
    if len(ids) <= 1000:  # beyond that, reading all is quicker and within every database's limit
        query = query.where(Tag.run_id.in_(ids))
    for run_id, tag in session.execute(query):
        tags.setdefault(run_id, []).append(tag)
    return tags


def _not_found(db: Database, run: str) -> RunNotFound:
    return RunNotFound(f"no run {run!r} in {db.location}: list them with: dapo runs --db {quote(db.location)}")


def _prefixes(ids: Iterable[str]) -> dict[str, str]:
    ordered = sorted(set(ids))
    short = {}
    for before, id_, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False):
        length = max(6, _common(before, id_) + 1, _common(id_, after) + 1)
        short[id_] = id_[:length]
    return short


def _common(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def _checkpoint_row(run_id: str, *, step: int, path: str, size: int, sha256: str) -> dict[str, Any]:
    return {"run_id": run_id, "step": step, "path": path, "bytes": size, "sha256": sha256, "created_at": now()}
