"""Write a table as LaTeX, CSV, Markdown, HTML or JSON."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dapo_cli import console, options
from dapo_cli.errors import BadInput
from dapo_cli.project_file import database_location


class Format(StrEnum):
    """The formats of analysis.writers."""

    LATEX = "latex"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def table(
    rows: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the rows, separated by commas.")] = "algo",
    cols: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the columns.")] = "env",
    format_: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="latex, csv, markdown, html or json.")
    ] = Format.MARKDOWN,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to a file instead of standard output.", show_default=False),
    ] = None,
    where: options.Where = None,
    db: options.Db = None,
) -> None:
    """Write a table of final returns: mean ± standard deviation over the completed runs of each cell.

    Keys are algo, env, tag, every other column of the table run, and every hyperparameter. LaTeX needs the package
    booktabs. CSV and JSON have one line or object a cell, with n, mean, std and the 95 % interval in full precision.
    """
    from dapo_cli.analysis import selection, tables, writers
    from store.session import Database

    row_keys, col_keys = options.keys("--rows", rows), options.keys("--cols", cols)
    if not row_keys:
        raise BadInput("--rows: name at least one key, such as algo")
    if shared := sorted(set(row_keys) & set(col_keys)):
        raise BadInput(f"{shared[0]} is both in --rows and in --cols: name it in one of them")
    with Database.read(database_location(db)) as database:
        chosen = selection.select(database, where)
    if not chosen.runs:
        left_out = "".join(f" ({note})" for note in chosen.notes())
        raise BadInput(f"no completed run to tabulate{left_out}: see what there is with dapo runs")
    chosen.check_keys("--rows and --cols", [*row_keys, *col_keys])
    result = tables.pivot(chosen, rows=row_keys, cols=col_keys)
    text = writers.FORMATS[format_](result)
    if out is None:
        console.write(text)
    else:
        writers.write_aside(out, text)
        console.info(f"wrote {out}")
    for note in result.notes("--rows or --cols"):
        console.info(note)
