"""Runs of the database as a folder that other programs read; written aside, row by row, and renamed at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dapo_cli.files import new_folder
from dapo_cli.interchange import event_export, table_files
from store.records import streaming
from store.transfer.redaction import Redaction

if TYPE_CHECKING:
    from store.session import Database

Record = Mapping[str, Any]
"""A run as `store.records.runs.get` returns it."""

TABLES = {
    "episodes": "episode",
    "evaluations": "evaluation",
    "metrics": "metric",
    "hyperparameters": "hyperparameter",
}
"""A file's name -> the table of the database that it holds."""

TENSORBOARD = "tensorboard"
FORMATS = (*table_files.WRITERS, TENSORBOARD)


def export(
    database: Database, runs: Sequence[Record], format_: str, out: Path, redaction: Redaction | None = None
) -> None:
    """Write the runs in one of FORMATS into the folder `out`, which is new or empty. The same runs give the same bytes.

    No text names a folder; `redaction` takes more out.
    Raises BadInput where that is impossible, and leaves nothing behind then.
    """
    redaction = redaction or Redaction()
    runs = [redaction.row("run", run) for run in runs]
    with new_folder(out) as folder:
        if format_ == TENSORBOARD:
            event_export.write(folder, database, runs, redaction)
            return
        write = table_files.WRITERS[format_]
        columns = {**streaming.columns("run"), "tags": list}
        write(folder / f"runs.{format_}", columns, (tuple(run[name] for name in columns) for run in runs))
        ids = [run["id"] for run in runs]
        with database.connect() as session:
            for name, table in TABLES.items():
                rows = redaction.rows(table, streaming.rows(session, table, ids))
                write(folder / f"{name}.{format_}", streaming.columns(table), rows)
