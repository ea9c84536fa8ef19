"""A database that holds some runs of another and nothing else: what a reader of a paper gets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, insert, select, update
from sqlalchemy.orm import Session

from store.connection import sqlite
from store.connection.failures import translated, translated_files
from store.errors import CannotWrite
from store.schema.models import Base, Run, Selection, Sweep, SweepRun
from store.session import Database
from store.transfer.maintenance import _copy_files, _drop_replaced_checkpoints
from store.transfer.redaction import Redaction

ROWS = ("tag", "hyperparameter", "episode", "evaluation", "metric", "event")
"""The tables of which every row of the runs is copied."""

_AT_ONCE = 500  # ids in one statement: within every database's limit on parameters
_FETCHED = 10_000  # rows fetched and written together


def copy(
    db: Database,
    run_ids: Sequence[str],
    target: Path,
    *,
    selection: str | None = None,
    files: bool = False,
    redaction: Redaction | None = None,
) -> None:
    """Write the runs with these whole ids, and all of their rows, into a new SQLite file; its texts name no folder.

    Their sweeps come along, and the frozen `selection`, whole; exports do not. Checkpoints only with `files`, which go
    beside the copy: a checkpoint's row says that its files are there. A run that is being trained is interrupted in the
    copy, where nobody trains it. `redaction` takes more out than folders. The same runs give the same bytes.
    CannotWrite; the caller removes what a failure leaves.
    """
    if target.exists():
        raise CannotWrite(f"{target} exists already: name another target")
    with db.connect() as source:
        with Database.write(str(target)) as made, made.transaction() as session:
            _copy_rows(source, session, run_ids, selection, files)
        if files:
            with translated_files(f"the files of the runs beside {target}"):
                for run_id in run_ids:
                    if os.path.lexists(db.run_folder(run_id)):
                        _copy_files(db.run_folder(run_id), made.run_folder(run_id))
                        (made.run_folder(run_id) / "lock").unlink(missing_ok=True)
            _drop_replaced_checkpoints(db, target, made.files)
    with translated_files(f"the copy {target}"):
        (made.files / "lock").unlink(missing_ok=True)
        if not any(made.files.iterdir()):
            made.files.rmdir()
    _settle(target, redaction or Redaction())


def _copy_rows(
    source: Session, session: Session, run_ids: Sequence[str], selection: str | None, checkpoints: bool
) -> None:
    runs, sweeps, belonging, pinned = (
        Base.metadata.tables[model.__tablename__] for model in (Run, Sweep, SweepRun, Selection)
    )
    found = [run for part in _selected(source, runs, run_ids, runs.c.id) for run in part]
    links = [link for part in _selected(source, belonging, run_ids, belonging.c.run_id) for link in part]
    wanted = {link.sweep_id for link in links} | {run.sweep_id for run in found if run.sweep_id is not None}
    _insert(session, sweeps, _selected(source, sweeps, sorted(wanted), sweeps.c.id))
    _insert(session, runs, [found])
    _insert(session, belonging, [links] if links else [])
    session.execute(update(runs).where(runs.c.status == "running").values(status="interrupted"))
    for name in (*ROWS, *(["checkpoint"] if checkpoints else [])):
        table = Base.metadata.tables[name]
        _insert(session, table, _selected(source, table, run_ids, table.c.run_id))
    if selection is not None:
        _insert(session, pinned, _selected(source, pinned, [selection], pinned.c.name))


def _insert(session: Session, table: Table, parts: Iterable[Sequence[Row[Any]]]) -> None:
    """Rows as they were read: by the driver itself, as there may be millions."""
    connection = session.connection()
    statement = str(insert(table).compile(connection))
    for part in parts:
        connection.exec_driver_sql(statement, [tuple(row) for row in part])


def _selected(
    source: Session, table: Table, values: Sequence[str], column: ColumnElement[str]
) -> Iterator[Sequence[Row[Any]]]:
    """The rows whose column has one of these values, in the order of the primary key, a few thousand at a time."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _AT_ONCE):
        query = select(table).where(column.in_(ordered[start : start + _AT_ONCE])).order_by(*table.primary_key)
        rows = source.execute(query, execution_options={"yield_per": _FETCHED})
        yield from rows.partitions(_FETCHED)


def _settle(path: Path, redaction: Redaction) -> None:
    """One file without a write-ahead log, which also a read-only disk may hold, without gaps, and in one order."""
    with translated(str(path)):
        connection = sqlite.connect_writing(path)
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            redaction.apply(connection)
            # SQLAlchemy makes the indexes of a table in any order.
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
            indexes = connection.execute(query).fetchall()
            for name, _ in indexes:
                connection.execute(f'DROP INDEX "{name}"')
            for _, statement in indexes:
                connection.execute(statement)
            connection.execute("VACUUM")
        finally:
            connection.close()
