"""Take over the runs of other databases."""

from __future__ import annotations

from typing import Annotated

import typer

from dapo_cli.options.shared import Db, Json
from dapo_cli.terminal import console


def merge(
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Databases to take over from.")],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Take over the runs, sweeps, selections and exports of other databases. Doing it again changes nothing."""
    from dataclasses import asdict

    from dapo_cli.configuration.project_file import database_location
    from store.session import Database
    from store.transfer.merge import merge as merge_database

    location, outcomes = database_location(db), []
    for other in others:  # a name that is wrong must not create or upgrade anything
        with Database(other, writable=False) as source:
            source.revision()
    with Database.write(location) as target:
        for other in others:
            outcome = merge_database(target, other)
            outcomes.append(outcome)
            for conflict in outcome.conflicts:
                console.warning(f"{other}: {conflict}")
            for run_id in outcome.training:
                console.warning(f"{other}: run {run_id} is being trained: merge again when it has ended")
    if as_json:
        console.print_json([asdict(outcome) for outcome in outcomes])
    else:
        columns = ("added", "updated", "known", "training", "selections", "sweeps", "exports", "conflicts")
        rows = [(o.location, *(str(len(getattr(o, name))) for name in columns)) for o in outcomes]
        less = ("exports", "sweeps", "selections")
        console.print_table(("database", *columns), rows, right=columns, keys=("database",), droppable=less)
    if any(outcome.conflicts for outcome in outcomes):
        raise typer.Exit(1)
