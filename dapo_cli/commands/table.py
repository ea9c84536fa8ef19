"""Write a table for a paper: LaTeX, Markdown, HTML, CSV or JSON, its numbers traceable."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options.shared import Db
from dapo_cli.options.table_options import TableOptions
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.export.table_export import Export


def table(*, options: TableOptions, db: Db = None) -> None:
    """Write a table for a paper: a statistic of the runs' scores, with its interval.

    Keys are algo, env, tag, every other column of the table run, and every hyperparameter. Bold is what is not
    distinguishable from the best of its column. Every cell has a key: dapo why KEY says where its number comes from,
    and dapo verify FILE whether it still is what the runs say.
    """
    request, style, out = options.request(), options.style(), options.out
    from dapo_cli.analysis.export import table_export
    from store.session import Database

    location = database_location(db)
    with Database.read(location) as database:
        made = table_export.make(database, request, style)
    if out is None:
        console.write(made.text)
    else:
        from dapo_cli.files import write_files

        write_files({out: made.text.encode("utf-8", "backslashreplace")})
        console.info(f"wrote {out}")
        _record(location, made, out)
    for line in made.table.notes:
        console.info(line)


def _record(location: str, made: Export, out: Path) -> None:
    """Enter the export into the database, so that `dapo why KEY` finds it without the file."""
    from store.errors import StoreError
    from store.records import exports
    from store.session import Database

    sheet = made.sheet
    try:
        with Database.write(location) as database:
            exports.record(database, sheet.export, sheet.command, made.definition)
    except StoreError as error:
        console.info(
            f"{error}; the key {sheet.export} is known by the file only: dapo why {sheet.export} {quote(str(out))}"
        )
