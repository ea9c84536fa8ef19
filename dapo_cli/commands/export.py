"""Export runs with all their rows: CSV, Parquet, TensorBoard."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import completion, shared
from dapo_cli.terminal import console


class Format(StrEnum):
    """The formats of interchange.exporting."""

    CSV = "csv"
    PARQUET = "parquet"
    TENSORBOARD = "tensorboard"


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.")],
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs; else all.", autocompletion=completion.runs, show_default=False),
    ] = None,
    where: shared.Where = None,
    format_: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="csv, parquet or tensorboard.")
    ] = Format.CSV,
    anonymous: shared.Anonymous = False,
    db: shared.Db = None,
) -> None:
    """Export runs, with every episode, evaluation, metric and hyperparameter, into one folder.

    CSV and Parquet: the files runs, episodes, evaluations, metrics and hyperparameters. TensorBoard: a folder for each
    run. dapo import reads CSV and TensorBoard back. Of absolute paths the last name is left.
    """
    from dapo_cli import publishing
    from dapo_cli.analysis.selection.selected import where_condition
    from dapo_cli.interchange import exporting
    from store.records import runs
    from store.schema.models import Run
    from store.session import Database

    shared.refuse_both(run_ids, where)
    columns = Run.__table__.c
    with Database.read(database_location(db)) as database:
        chosen = where_condition(database, where) if where else None
        if run_ids:
            ids = dict.fromkeys(runs.resolve(database, prefix) for prefix in run_ids)
            chosen = columns.id.in_(list(ids))
        found = runs.listing(database, where=chosen, order_by=[columns.created_at, columns.id])
        if not found:
            raise BadInput("no run to export: see what there is with dapo runs")
        exporting.export(database, found, format_, out, publishing.redaction(database, anonymous))
    if anonymous:
        publishing.say_what_is_left_out()
    console.info(f"wrote {len(found)} {'run' if len(found) == 1 else 'runs'} as {format_}")
    console.write(str(out))
