"""Delete runs: their rows and their files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dapo_cli import console, options
from dapo_cli.errors import BadInput
from dapo_cli.project_file import database_location


def delete(
    run_ids: options.Runs,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    db: options.Db = None,
) -> None:
    """Delete runs: their rows and their files. There is no way back; a run that is still training is refused."""
    from store import runs
    from store.deletion import delete as delete_runs
    from store.session import Database

    location = database_location(db)
    with Database.read(location) as database:
        ids = list(dict.fromkeys(runs.resolve(database, prefix) for prefix in run_ids))
        short = runs.shorten(database)
        described = [runs.get(database, run_id) for run_id in ids]
    what = f"{len(ids)} {'run' if len(ids) == 1 else 'runs'}"
    if not yes and not sys.stdin.isatty():
        raise BadInput(f"to delete {what} without being asked, add --yes")
    for run in described:
        console.info(f"{short[run['id']]}  {run['algo']}  {run['env']}  seed {run['seed']}  {run['status']}")
    if not yes and not typer.confirm(f"Delete {what} with all files for good?", err=True):
        console.info("nothing deleted")
        return
    with Database.write(location) as database:
        delete_runs(database, ids)
    console.info(f"deleted {what}")
