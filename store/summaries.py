"""What runs have come to, aggregated by the database: last evaluations, last episodes, counts. Needs no pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, and_, case, func, select
from sqlalchemy.orm import Session, aliased

from store._values import join_number
from store.models import Base, Checkpoint, Episode, Evaluation, Event, Metric, Run
from store.session import Database


def final_evaluation(
    db: Database, where: ColumnElement[bool] | None = None, actions: str = "mean"
) -> dict[str, dict[str, Any]]:
    """The last evaluation of each run that has one: id -> `step`, `mean` (of the returns) and `n` (episodes)."""
    inner = aliased(Evaluation)
    last = (
        select(inner.step)
        .where(inner.run_id == Run.id, inner.actions == actions)
        .order_by(inner.step.desc())
        .limit(1)
        .scalar_subquery()
    )
    ends = _of_each_run(last)
    of_it = and_(Evaluation.run_id == ends.c.id, Evaluation.step == ends.c.last, Evaluation.actions == actions)
    query = select(Run.id, func.max(Evaluation.step), *_moments(Evaluation))
    return _means(db, query.join_from(Run, ends, ends.c.id == Run.id).join(Evaluation, of_it), where)


def final_training(
    db: Database, where: ColumnElement[bool] | None = None, window: int = 100
) -> dict[str, dict[str, Any]]:
    """The last `window` training episodes of each run that has any: id -> `step`, `mean` (of the returns) and `n`."""
    inner = aliased(Episode)
    last = select(inner.number).where(inner.run_id == Run.id).order_by(inner.number.desc()).limit(1).scalar_subquery()
    ends = _of_each_run(last)
    of_them = and_(Episode.run_id == ends.c.id, Episode.number > ends.c.last - window)
    query = select(Run.id, func.max(Episode.step), *_moments(Episode))
    return _means(db, query.join_from(Run, ends, ends.c.id == Run.id).join(Episode, of_them), where)


def evaluation_curves(
    db: Database, where: ColumnElement[bool] | None = None, actions: str = "mean"
) -> dict[str, tuple[list[int], list[float]]]:
    """The evaluations of each run that has any: id -> steps, ascending, and the mean return at each."""
    query = select(Run.id, Evaluation.step, *_moments(Evaluation)).join_from(
        Run, Evaluation, and_(Evaluation.run_id == Run.id, Evaluation.actions == actions)
    )
    if where is not None:
        query = query.where(where)
    curves: dict[str, tuple[list[int], list[float]]] = {}
    with db.connect() as session:
        for run_id, step, mean, _, *kinds in session.execute(
            query.group_by(Run.id, Evaluation.step).order_by(Run.id, Evaluation.step)
        ):
            steps, means = curves.setdefault(run_id, ([], []))
            steps.append(step)
            means.append(_mean(mean, *kinds))
    return curves


def last_metric(db: Database, name: str, where: ColumnElement[bool] | None = None) -> dict[str, float]:
    """The last value of a diagnostic of each run that recorded it: id -> value."""
    inner = aliased(Metric)
    last = select(func.max(inner.step)).where(inner.run_id == Run.id, inner.name == name).scalar_subquery()
    of_it = and_(Metric.run_id == Run.id, Metric.name == name, Metric.step == last)
    query = select(Run.id, Metric.value, Metric.value_kind).join_from(Run, Metric, of_it)
    with db.connect() as session:
        rows = session.execute(query if where is None else query.where(where))
        return {id_: join_number(value, kind) for id_, value, kind in rows}


def metric_names(db: Database, ids: Iterable[str]) -> set[str]:
    """The names of the diagnostics that any of these runs recorded."""
    wanted = set(ids)
    with db.connect() as session:
        rows = session.execute(select(Metric.name, Metric.run_id).distinct())
        return {name for name, run_id in rows if run_id in wanted}


def speeds(db: Database, where: ColumnElement[bool] | None = None) -> dict[str, float]:
    """Environment steps per second of training, of each run that trained."""
    query = select(Run.id, Run.step, Run.wall_time).where(Run.wall_time > 0)
    with db.connect() as session:
        return {
            id_: step / seconds
            for id_, step, seconds in session.execute(query if where is None else query.where(where))
        }


def evaluation_at(db: Database, run_id: str, step: int) -> list[tuple[float, int]]:
    """Return and length of each episode of the run's evaluation with mean actions at `step`; empty if there is none."""
    with db.connect() as session:
        return _evaluation(session, run_id, step)


def latest(db: Database, run_id: str, *, episodes: int = 100) -> dict[str, Any]:
    """Where a run stands.

    `episodes`: the last ones, oldest first, as dicts of `number`, `step`, `return`, `length`, …; `evaluation`: the
    last one with mean actions, as `step` and its `returns`, or None; `metrics`: name -> the last value; `counts`:
    table -> rows.
    """
    table = Base.metadata.tables["episode"]
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.number.desc()).limit(episodes)
    with db.connect() as session:
        rows = [dict(row) for row in session.execute(query).mappings()]
        for row in rows:
            del row["run_id"]
            row["return"] = join_number(row["return"], row.pop("return_kind"))
        return {
            "episodes": rows[::-1],
            "evaluation": _last_evaluation(session, run_id),
            "metrics": _last_metrics(session, run_id),
            "counts": {
                table.__tablename__: session.scalar(select(func.count()).where(table.run_id == run_id))
                for table in (Episode, Evaluation, Metric, Checkpoint, Event)
            },
        }


def _last_evaluation(session: Session, run_id: str) -> dict[str, Any] | None:
    of_run = and_(Evaluation.run_id == run_id, Evaluation.actions == "mean")
    step = session.scalar(select(func.max(Evaluation.step)).where(of_run))
    if step is None:
        return None
    return {"step": step, "returns": [return_ for return_, _ in _evaluation(session, run_id, step)]}


def _evaluation(session: Session, run_id: str, step: int) -> list[tuple[float, int]]:
    of_it = and_(Evaluation.run_id == run_id, Evaluation.actions == "mean", Evaluation.step == step)
    query = select(Evaluation.return_, Evaluation.return_kind, Evaluation.length).where(of_it)
    rows = session.execute(query.order_by(Evaluation.number))
    return [(join_number(value, kind), length) for value, kind, length in rows]


def _last_metrics(session: Session, run_id: str) -> dict[str, float]:
    last = select(Metric.name, func.max(Metric.step).label("step")).where(Metric.run_id == run_id)
    newest = last.group_by(Metric.name).subquery()
    query = select(Metric.name, Metric.value, Metric.value_kind).join(
        newest, and_(Metric.run_id == run_id, Metric.name == newest.c.name, Metric.step == newest.c.step)
    )
    return {name: join_number(value, kind) for name, value, kind in session.execute(query)}


def _of_each_run(value: ScalarSelect[int]) -> CTE:
    """`value` as `last` beside each run's `id`. Looked up once a run: PostgreSQL would do it for every row joined."""
    return select(Run.id, value.label("last")).cte("ends").prefix_with("MATERIALIZED")


def _moments(table: type[Episode] | type[Evaluation]) -> tuple[ColumnElement[Any], ...]:
    # Aggregates pass over NULL, so the non-finite returns, which stand as NULL beside their kind, are counted apart.
    kinds = (func.sum(case((table.return_kind == kind, 1), else_=0)) for kind in ("nan", "inf", "-inf"))
    return func.avg(table.return_), func.count(), *kinds


def _means(db: Database, query: Select[Any], where: ColumnElement[bool] | None) -> dict[str, dict[str, Any]]:
    if where is not None:
        query = query.where(where)
    with db.connect() as session:
        rows = session.execute(query.group_by(Run.id)).all()
    return {
        run_id: {"step": step, "mean": _mean(mean, nans, ups, downs), "n": n}
        for run_id, step, mean, n, nans, ups, downs in rows
    }


def _mean(mean: float | None, nans: int, ups: int, downs: int) -> float:
    if nans or (ups and downs) or (mean is None and not ups and not downs):
        return math.nan
    if ups or downs:
        return math.inf if ups else -math.inf
    return float(mean or 0.0)
