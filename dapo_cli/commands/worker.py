"""Train the runs that wait in the queue."""

from __future__ import annotations

from typing import Annotated

import typer

from dapo_cli.options.shared import Db, Json, Modules


def worker(
    db: Db = None,
    sweep: Annotated[str | None, typer.Option("--sweep", metavar="NAME", help="Only runs of this sweep.")] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Runs at once, a process each.")] = 1,
    stay: Annotated[bool, typer.Option("--stay", help="Wait for more runs when none is left.")] = False,
    stall: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1.0, help="A run that takes no step for so long hangs: stop it."),
    ] = 1800.0,
    modules: Modules = None,
    as_json: Json = False,
) -> None:
    """Train the runs that wait in the queue, from all sweeps or one, until none is left.

    Start as many workers as you like, on any machine that reaches the database: none trains what another has. Ctrl-C
    and SIGTERM save checkpoints and give the runs back; what a killed worker had goes on under another.
    """
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.sweeps.work.worker import Order, work
    from dapo_cli.terminal import console
    from store.session import Database

    location = database_location(db)
    with Database(location, writable=False) as database:
        database.revision()  # one that is not there is no queue, and must not be created
    ended = work(location, Order(sweep, jobs, stay, stall, tuple(modules or ())))
    if as_json:
        console.print_json(dict(ended))
    elif not ended:
        console.info("nothing waits in the queue")
