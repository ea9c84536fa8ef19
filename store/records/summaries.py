"""What runs have come to, aggregated by the database: last evaluations, last episodes, counts. Needs no pandas.

The mean of returns, everywhere: NaN where one is NaN, or where an infinite one meets its opposite; else infinite where
one is infinite. `_kind_of_mean` alone says so in SQL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, and_, case, false, func, literal, null, or_, select
from sqlalchemy.orm import Session, aliased

from store.schema.encoding import join_number
from store.schema.models import Base, Checkpoint, Episode, Evaluation, Event, Metric, Run
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


def final_return() -> ScalarSelect[float | None]:
    """The mean of the last evaluation in SQL, correlated to `run`: NULL without one, and where the mean is NaN."""
    kind = _kind_of_mean(Evaluation)
    values = ((kind == "nan", null()), (kind == "inf", literal(math.inf)), (kind == "-inf", literal(-math.inf)))
    return _of_final_evaluation(case(*values, else_=func.avg(Evaluation.return_)))


def final_is_nan() -> ColumnElement[bool]:
    """Whether that mean is NaN, in SQL: true or false, never NULL."""
    return func.coalesce(_of_final_evaluation(_kind_of_mean(Evaluation)) == "nan", false())


def _of_final_evaluation(value: ColumnElement[Any]) -> ScalarSelect[Any]:
    inner = aliased(Evaluation)
    last = (
        select(func.max(inner.step))
        .where(inner.run_id == Run.id, inner.actions == "mean")
        .correlate(Run)
        .scalar_subquery()
    )
    of_it = (Evaluation.run_id == Run.id, Evaluation.actions == "mean", Evaluation.step == last)
    return select(value).where(*of_it).correlate(Run).scalar_subquery()


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
        for run_id, step, mean, _, kind in session.execute(
            query.group_by(Run.id, Evaluation.step).order_by(Run.id, Evaluation.step)
        ):
            steps, means = curves.setdefault(run_id, ([], []))
            steps.append(step)
            means.append(join_number(mean, kind))
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
    """The mean of the returns as value and kind (`join_number` joins them), with their number between the two."""
    return func.avg(table.return_), func.count(), _kind_of_mean(table)


def _kind_of_mean(table: type[Episode] | type[Evaluation]) -> ColumnElement[str | None]:
    # Aggregates pass over NULL, so the non-finite returns, which stand as NULL beside their kind, are counted apart.
    nans, ups, downs = (func.count(case((table.return_kind == kind, 1))) for kind in ("nan", "inf", "-inf"))
    nothing = and_(func.count() > 0, func.count(table.return_) == 0, ups == 0, downs == 0)
    return case(
        (or_(nans > 0, and_(ups > 0, downs > 0), nothing), "nan"), (ups > 0, "inf"), (downs > 0, "-inf"), else_=null()
    )


def _means(db: Database, query: Select[Any], where: ColumnElement[bool] | None) -> dict[str, dict[str, Any]]:
    if where is not None:
        query = query.where(where)
    with db.connect() as session:
        rows = session.execute(query.group_by(Run.id)).all()
    return {run_id: {"step": step, "mean": join_number(mean, kind), "n": n} for run_id, step, mean, n, kind in rows}
