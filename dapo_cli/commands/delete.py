"""Delete runs: their rows and their files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import completion, shared
from dapo_cli.terminal import console

MOST_LISTED = 20  # runs; of more, the first and how many


def delete(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs: ids or unique prefixes.", autocompletion=completion.runs),
    ] = None,
    where: shared.Where = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    db: shared.Db = None,
) -> None:
    """Delete runs: their rows and their files. There is no way back; a run that is still training is refused."""
    from dapo_cli.analysis.selection.selected import where_condition
    from dapo_cli.terminal.formatting import bytes_text
    from store.connection import run_files
    from store.records import runs
    from store.session import Database

    shared.refuse_both(run_ids, where)
    if not run_ids and not where:
        raise BadInput("which runs? Give their ids (see dapo runs), or --where FILTER")
    location = database_location(db)
    with Database.read(location) as database:
        if where:
            described = runs.listing(database, where=where_condition(database, where))
        else:
            ids = dict.fromkeys(runs.resolve(database, prefix) for prefix in run_ids or ())
            described = [runs.get(database, run_id) for run_id in ids]
        short = runs.shorten(database)
        disk = sum(run_files.size(database.run_folder(run["id"])) for run in described)
    if not described:
        raise BadInput("no run matches --where: see what there is with dapo runs")
    what = f"{len(described)} {'run' if len(described) == 1 else 'runs'}"
    if not yes and not sys.stdin.isatty():
        raise BadInput(f"to delete {what} without being asked, add --yes")
    for run in described[:MOST_LISTED]:
        console.info(f"{short[run['id']]}  {run['algo']}  {run['env']}  seed {run['seed']}  {run['status']}")
    if len(described) > MOST_LISTED:
        console.info(f"… and {len(described) - MOST_LISTED} more: dapo runs --where lists them")
    what += f" and {bytes_text(disk)} of files" if disk else ""
    if not yes and not typer.confirm(f"Delete {what} for good?", err=True):
        console.info("nothing deleted")
        return
    with Database.write(location) as database:
        runs.delete(database, [run["id"] for run in described])
    console.info(f"deleted {what}")
