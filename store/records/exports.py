"""Exported tables: what each was made from, by its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import aliased

from store.schema.encoding import clean, decode_json, encode_json, now
from store.schema.models import Episode, Evaluation, Export, Hyperparameter, Run
from store.session import Database

Query = Select[*tuple[Any, ...]]


def record(db: Database, key: str, command: str, definition: dict[str, Any]) -> None:
    """Keep an export; one that has this key already stays as it is."""
    with db.transaction() as session:
        if session.get(Export, key) is None:
            row = {"key": key, "created_at": now(), "command": clean(command)}
            session.execute(insert(Export), [row | {"definition": clean(encode_json(definition) or "{}")}])


def find(db: Database, key: str) -> dict[str, Any] | None:
    """`key`, `created_at`, `command` and `definition` of an export; None for one that is not on record."""
    table = Export.__table__
    with db.connect() as session:
        row = session.execute(select(table).where(table.c.key == key)).mappings().one_or_none()
    return None if row is None else {**row, "definition": decode_json(row["definition"])}


def keys(db: Database) -> list[str]:
    """The keys of all exports, the latest first."""
    with db.connect() as session:
        return list(session.scalars(select(Export.key).order_by(Export.created_at.desc(), Export.key)))


def raw_numbers(measure: str, ids: Sequence[str]) -> Query:
    """The rows on which the scores of these runs rest, by run and in their order; the first column is the run's id.

    `measure`: final, final-sampled (returns of the last evaluation), final-train (of the last 100 training episodes),
    speed (steps and seconds), or any other (returns of every evaluation); or the name of a hyperparameter after `=`.
    """
    if measure.startswith("="):
        of_it = and_(Hyperparameter.run_id == Run.id, Hyperparameter.name == measure[1:])
        setting = select(Run.id, Run.seed, Hyperparameter.value, Hyperparameter.origin).join(Hyperparameter, of_it)
        return setting.where(Run.id.in_(ids)).order_by(Run.id)
    if measure == "speed":
        return select(Run.id, Run.seed, Run.step, Run.wall_time).where(Run.id.in_(ids)).order_by(Run.id)
    if measure == "final-train":
        inner = aliased(Episode)
        last = select(func.max(inner.number)).where(inner.run_id == Run.id).scalar_subquery()
        join = and_(Episode.run_id == Run.id, Episode.number > last - 100)
        episode = (Run.id, Run.seed, Episode.number, Episode.return_, Episode.return_kind)
        return select(*episode).join(Episode, join).where(Run.id.in_(ids)).order_by(Run.id, Episode.number)
    rows = (Run.id, Run.seed, Evaluation.step, Evaluation.number, Evaluation.return_, Evaluation.return_kind)
    of_run = and_(Evaluation.run_id == Run.id, Evaluation.actions == ("sampled" if "sampled" in measure else "mean"))
    if measure.startswith("final"):
        other = aliased(Evaluation)
        steps = select(func.max(other.step)).where(other.run_id == Run.id, other.actions == Evaluation.actions)
        of_run = and_(of_run, Evaluation.step == steps.correlate(Run, Evaluation).scalar_subquery())
    query = select(*rows).join(Evaluation, of_run).where(Run.id.in_(ids))
    return query.order_by(Run.id, Evaluation.step, Evaluation.number)


def sql_text(query: Query) -> str:
    """A query as SQL to type, its values inlined and quoted; SQLite and PostgreSQL read it."""
    compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    return "\n".join(line.rstrip() for line in str(compiled).splitlines()) + ";"


def these(ids: Sequence[str]) -> ColumnElement[bool]:
    """The runs of these ids."""
    return Run.id.in_(ids)


def rows_of(db: Database, query: Query) -> list[tuple[Any, ...]]:
    """What the query gives."""
    with db.connect() as session:
        return [tuple(row) for row in session.execute(query)]
