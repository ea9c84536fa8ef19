"""The record as pandas frames, for analysis. Non-finite numbers are themselves again, and every column has a type."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Select, Table, select

from store.integrity import wrong_values
from store.records import runs as store_runs
from store.records import settings as settings_of_runs
from store.records import summaries
from store.schema.models import Base
from store.session import Database

_TYPES = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}
_AT_ONCE = 1000  # ids in one statement: within every database's limit on parameters


def runs(db: Database, where: ColumnElement[bool] | None = None) -> pd.DataFrame:
    """One row a run, newest first: the run's columns, its effective status, `tags`, a column per hyperparameter.

    Columns have pandas' types that know missing values (Int64, Float64, boolean, string), also where none is missing.
    So do those of hyperparameters, whose values decide: one whose values are lists, or of several kinds, is a column of
    objects. Lists are tuples, so that they can be grouped by, and `versions` is JSON text. A hyperparameter whose name
    a column of the run has already is left out. The index is 0, 1, …; `id` is a column.
    """
    with wrong_values.explained(db):
        rows = store_runs.listing(db, where=where)
        table = Base.metadata.tables["run"]
        columns = {
            name: pd.Series([_text(row[name]) for row in rows], dtype=_TYPES[column.type.python_type])
            for name, column in table.c.items()
        }
        columns["tags"] = pd.Series([tuple(row["tags"]) for row in rows], dtype=object)
        frame = pd.DataFrame(columns)
        return pd.concat([frame, _settings(db, [row["id"] for row in rows], columns)], axis="columns")


def episodes(db: Database, ids: Sequence[str]) -> pd.DataFrame:
    """Training episodes of runs, by run and number: `run_id`, `number`, `step`, `return`, `length`, …"""
    table = Base.metadata.tables["episode"]
    return _rows(db, table, ids, select(table).order_by(table.c.run_id, table.c.number))


def evaluations(db: Database, ids: Sequence[str]) -> pd.DataFrame:
    """Evaluation episodes of runs: `run_id`, `step`, `actions`, `number`, `return`, `length`."""
    table = Base.metadata.tables["evaluation"]
    return _rows(db, table, ids, select(table).order_by(*table.primary_key))


def metrics(db: Database, ids: Sequence[str], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Diagnostics of runs, of these names or all: `run_id`, `name`, `step`, `value`."""
    table = Base.metadata.tables["metric"]
    query = select(table).order_by(*table.primary_key)
    return _rows(db, table, ids, query if names is None else query.where(table.c.name.in_(names)))


def final_evaluation(db: Database, where: ColumnElement[bool] | None = None, actions: str = "mean") -> pd.DataFrame:
    """The last evaluation of each run that has one: `step`, `mean` (of its returns), `n` (episodes), by `run_id`."""
    return _by_run(summaries.final_evaluation(db, where, actions))


def final_training(db: Database, where: ColumnElement[bool] | None = None, window: int = 100) -> pd.DataFrame:
    """The last `window` training episodes of each run that has any: `step`, `mean`, `n`, by `run_id`."""
    return _by_run(summaries.final_training(db, where, window))


def _settings(db: Database, ids: list[str], taken: Collection[str]) -> pd.DataFrame:
    settings = settings_of_runs.values(db, ids)
    names = sorted({name for own in settings.values() for name in own}.difference(taken))
    return pd.DataFrame({name: _typed([settings[id_].get(name) for id_ in ids]) for name in names})


def _typed(values: list[Any]) -> pd.Series[Any]:
    """The values as a column of the type that all have, of objects where they have none in common."""
    values = [_hashable(value) for value in values]
    kinds = {type(value) for value in values if value is not None}
    kind = float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else object
    if kind is int and any(value is not None and abs(value) >= 2**63 for value in values):
        kind = object
    return pd.Series(values, dtype=_TYPES.get(kind, object))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _rows(db: Database, table: Table, ids: Sequence[str], query: Select[Any]) -> pd.DataFrame:
    ordered = sorted(set(ids))
    parts = [
        query.where(table.c.run_id.in_(ordered[start : start + _AT_ONCE])) for start in range(0, len(ordered), _AT_ONCE)
    ]
    plain = {int: "int64", float: "float64", bool: "bool"}
    with wrong_values.explained(db):
        with db.connect() as session:
            rows = [tuple(row) for part in parts for row in session.execute(part)]
        frame = pd.DataFrame.from_records(rows, columns=list(table.c.keys()))
        for column in [name for name in frame if f"{name}_kind" in frame]:
            kinds = frame.pop(f"{column}_kind")
            frame[column] = frame[column].astype(float)
            for kind, number in (("inf", math.inf), ("-inf", -math.inf)):
                frame.loc[kinds == kind, column] = number
        types = {name: plain.get(table.c[str(name)].type.python_type) for name in frame}
        return frame.astype({name: type_ for name, type_ in types.items() if type_ is not None})


def _by_run(means: dict[str, dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(means, orient="index", columns=["step", "mean", "n"])
    return frame.astype({"step": "int64", "mean": "float64", "n": "int64"}).rename_axis("run_id")
