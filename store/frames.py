"""The record as pandas frames, for analysis. Non-finite numbers are themselves again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Select, Table, select

from store import runs as store_runs
from store import settings as settings_of_runs
from store import summaries
from store.models import Base
from store.session import Database

_AT_ONCE = 1000  # ids in one statement: within every database's limit on parameters


def runs(db: Database, where: ColumnElement[bool] | None = None) -> pd.DataFrame:
    """One row a run, newest first: the run's columns, its effective status, `tags`, a column per hyperparameter.

    Hyperparameters are Python values in columns of objects, None where a run has none of that name; one whose name a
    column of the run has already is left out. The index is 0, 1, …; `id` is a column.
    """
    rows = store_runs.listing(db, where=where)
    columns = [*Base.metadata.tables["run"].c.keys(), "tags"]
    frame = pd.DataFrame(rows, columns=columns)
    settings = settings_of_runs.values(db, [row["id"] for row in rows])
    names = sorted({name for own in settings.values() for name in own}.difference(columns))
    values = {name: pd.Series([own.get(name) for own in settings.values()], dtype=object) for name in names}
    return pd.concat([frame, pd.DataFrame(values)], axis="columns")


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


def _rows(db: Database, table: Table, ids: Sequence[str], query: Select[Any]) -> pd.DataFrame:
    ordered = sorted(set(ids))
    parts = [
        query.where(table.c.run_id.in_(ordered[start : start + _AT_ONCE])) for start in range(0, len(ordered), _AT_ONCE)
    ]
    with db.connect() as session:
        rows = [tuple(row) for part in parts for row in session.execute(part)]
    frame = pd.DataFrame.from_records(rows, columns=list(table.c.keys()))
    for column in [name for name in frame if f"{name}_kind" in frame]:
        kinds = frame.pop(f"{column}_kind")
        frame[column] = frame[column].astype(float)
        for kind, number in (("inf", np.inf), ("-inf", -np.inf)):
            frame.loc[kinds == kind, column] = number
    return frame


def _by_run(means: dict[str, dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(means, orient="index", columns=["step", "mean", "n"])
    return frame.rename_axis("run_id")
