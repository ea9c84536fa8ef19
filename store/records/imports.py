"""Runs that another program trained: recorded whole in one transaction, and only once for the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.records.insertion import NewRun, event_row, insert_runs
from store.schema.encoding import clean, decode_json, now, split_number
from store.schema.models import Base, Event, Run
from store.session import PATIENCE, Database

KIND = "imported"  # of the event that says from where
_AT_ONCE = 10_000  # rows in one statement


class EpisodeRow(NamedTuple):
    """A training episode; a `length` of 0 is not known, and neither is how one ended that is neither of the last."""

    step: int
    return_: float
    length: int = 0
    wall_time: float = 0.0
    terminated: bool = False
    truncated: bool = False


class EvaluationRow(NamedTuple):
    """One evaluation episode, or the mean of several where a file holds no more; `actions`: "mean" or "sampled"."""

    step: int
    actions: str
    number: int
    return_: float
    length: int = 0


class MetricRow(NamedTuple):
    """One diagnostic at one step."""

    name: str
    step: int
    value: float


def find(db: Database, sha256: str) -> str | None:
    """The run that was imported from files with this hash, the newest of several; None if there is none."""
    with db.connect() as session:
        return _find(session, sha256)


def record(
    db: Database,
    *,
    run: Mapping[str, Any],
    origin: Mapping[str, Any],
    hyperparameters: Iterable[Mapping[str, Any]] = (),
    tags: Sequence[str] = (),
    episodes: Iterable[EpisodeRow] = (),
    evaluations: Iterable[EvaluationRow] = (),
    metrics: Iterable[MetricRow] = (),
    again: bool = False,
) -> tuple[str, bool]:
    """Record a run with all its rows, all or nothing: (its id, whether it is new).

    `run`, `hyperparameters` and `tags` are as for `store.records.runs.create`. `origin` becomes the data of an event
    "imported"; its `sha256` tells the same files again, which are not recorded twice unless `again`.

    Rows are read while the database is locked, so that many imports at once wait for each other: up to PATIENCE.
    """
    db.patience = max(db.patience, PATIENCE)
    with db.transaction(durable=True) as session:
        known = None if again else _find(session, origin["sha256"])
        if known is not None:
            return known, False
        settings = [{**row, "name": clean(row["name"])} for row in hyperparameters]
        run_id = insert_runs(session, [NewRun(run, settings, tags)])[0]
        message = f"from {origin['path']}"
        session.execute(insert(Event).values(event_row(run_id, KIND, message, None, dict(origin))))
        _insert_rows(session, "episode", (_episode(run_id, *pair) for pair in enumerate(episodes)))
        _insert_rows(session, "evaluation", ({"run_id": run_id, **_number(row)} for row in evaluations))
        named = (row._replace(name=clean(row.name)) for row in metrics)
        _insert_rows(session, "metric", ({"run_id": run_id, **_number(row)} for row in named))
        session.execute(update(Run).where(Run.id == run_id).values(ended_at=now()))
    return run_id, True


def _find(session: Session, sha256: str) -> str | None:
    query = select(Event.run_id, Event.data).where(Event.kind == KIND, Event.data.contains(sha256, autoescape=True))
    for run_id, data in session.execute(query.order_by(Event.id.desc())):
        if decode_json(data).get("sha256") == sha256:
            return str(run_id)
    return None


def _insert_rows(session: Session, table: str, rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, _AT_ONCE)):
        session.execute(insert(Base.metadata.tables[table]), batch)


def _episode(run_id: str, number: int, row: EpisodeRow) -> dict[str, Any]:
    return {"run_id": run_id, "number": number, **_number(row)}


def _number(row: EpisodeRow | EvaluationRow | MetricRow) -> dict[str, Any]:
    values = row._asdict()
    name = "value" if isinstance(row, MetricRow) else "return"
    value, kind = split_number(float(values.pop("value" if name == "value" else "return_")))
    return {**values, name: value, f"{name}_kind": kind}
