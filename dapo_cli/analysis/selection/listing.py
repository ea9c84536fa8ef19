"""The runs that a command is about, with their final returns and settings: SQL only, no pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Float, Text, case, cast, func, literal, select, type_coerce

from dapo_cli.analysis.selection.final import final_returns
from dapo_cli.analysis.selection.selected import where_condition
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.filters.sql import AGE, hyperparameter_number, known_fields, made_before
from store.records import runs
from store.records.liveness import dead_runs, status_expression
from store.records.summaries import final_return
from store.schema import added
from store.schema.added import Added, As
from store.schema.encoding import encode_setting
from store.schema.models import Hyperparameter, Run, Tag

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from store.session import Database


def select_runs(
    database: Database, *, where: str | None = None, sort: str | None = None, limit: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """The first `limit` runs (None: all) that match the filter `where`, and how many match in all.

    A row is what `store.records.runs.get` returns and `final`: the mean return of the last evaluation, or None.
    `sort` is a field, "-" before it for descending; a run that lacks it, or has NaN, comes last. Default: newest first.
    """
    matching = where_condition(database, where) if where else None
    rows = runs.listing(database, where=matching, order_by=_order(database, sort) if sort else (), limit=limit)
    finals = final_returns(database, [row["id"] for row in rows])
    return [{**row, "final": finals.get(row["id"])} for row in rows], runs.count(database, matching)


def starting_with(database: Database, prefix: str, limit: int = 100) -> list[dict[str, Any]]:
    """The newest runs whose id starts with `prefix`."""
    return runs.listing(database, where=Run.id.startswith(prefix, autoescape=True), limit=limit)


def all_tags(database: Database) -> list[str]:
    """Every tag on record, sorted."""
    with database.connect() as session:
        return list(session.scalars(select(Tag.tag).distinct().order_by(Tag.tag)))


def _order(database: Database, sort: str) -> list[ColumnElement[Any]]:
    key = sort.removeprefix("-")
    falling = sort.startswith("-") != (key == AGE)  # the older, the earlier it was made
    with database.connect() as session:
        expressions = _sort_expressions(database, session, key)
    return [(value.desc() if falling else value.asc()).nulls_last() for value in expressions]


def _sort_expressions(database: Database, session: Session, key: str) -> list[ColumnElement[Any]]:
    if key == "status":
        return [status_expression(dead_runs(database))]
    if key == "final":
        return [final_return()]
    if key == AGE:
        return [Run.__table__.columns["created_at"]]
    if key in Run.__table__.columns:
        return [Run.__table__.columns[key]]
    earlier = [entry for entry in added.ADDED if entry.name == key]
    if not earlier and session.scalar(select(Hyperparameter.run_id).where(Hyperparameter.name == key).limit(1)) is None:
        sortable = [name for name in known_fields(session) if name != "tag"]
        raise BadInput(f"--sort: no run has a field '{key}': {did_you_mean(key, sortable)}")
    return [_setting(key, earlier, number) for number in (True, False)]


def _setting(key: str, earlier: Sequence[Added], number: bool) -> ColumnElement[Any]:
    """A run's setting as a number or as text, or what it was in a run made before it; NULL without either."""
    value: ColumnElement[Any] = hyperparameter_number() if number else type_coerce(Hyperparameter.value, Text)

    def of(name: str) -> ColumnElement[Any]:
        named = (Hyperparameter.run_id == Run.id, Hyperparameter.name == name)
        return select(value).where(*named).correlate(Run).scalar_subquery()

    def before(entry: Added) -> ColumnElement[Any]:
        if isinstance(entry.before, As):
            return of(entry.before.name)
        text, type_ = encode_setting(entry.before)
        return literal(text, Text) if not number else cast(literal(text if type_ in ("int", "float") else None), Float)

    known = [of(key), *(case((made_before(entry), before(entry))) for entry in earlier)]
    return func.coalesce(*known) if earlier else known[0]
