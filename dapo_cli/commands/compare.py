"""Compare algorithms on environments by the final return."""

from __future__ import annotations

from typing import Annotated

import typer

from dapo_cli import console, options
from dapo_cli.project_file import database_location

DEFAULT_KEYS = ("env", "algo")


def compare(
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="Split further by these keys, such as beta,m or tag.", show_default=False),
    ] = "",
    where: options.Where = None,
    db: options.Db = None,
    json: options.Json = False,
) -> None:
    """Compare algorithms on environments by the final return.

    The final return of a run is the mean return of its last evaluation. Every row gives the number n of completed runs,
    the mean and the standard deviation of their final returns, and the 95 % Student t interval of the mean (from three
    runs on). Runs that are left out are counted below.
    """
    from dapo_cli.analysis import selection, tables
    from store.session import Database

    keys = [*DEFAULT_KEYS, *(key for key in options.keys("--by", by) if key not in DEFAULT_KEYS)]
    with Database.read(database_location(db)) as database:
        chosen = selection.select(database, where)
    chosen.check_keys("--by", keys)
    table = tables.pivot(chosen, rows=keys, cols=())
    if json:
        console.print_json(table.records())
    elif chosen.runs:
        console.print_table(
            (*keys, "n", "mean ± std", "95 % interval"),
            [
                (
                    *map(tables.key_text, label),
                    str(summary.n),
                    tables.cell_text(summary),
                    tables.interval_text(summary),
                )
                for label, summary in ((label, table.cells[label, ()]) for label in table.row_labels)
            ],
            right=("n", "mean ± std", "95 % interval"),
            whole=("n", "mean ± std", "95 % interval"),
        )
    else:
        console.info("no completed run matches" if where else f"no completed run in {database.location} yet")
    for note in table.notes("--by"):
        console.info(note)
