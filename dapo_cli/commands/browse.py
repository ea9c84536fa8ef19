"""Browse the database in a web browser, with Datasette."""

from __future__ import annotations

from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput, Interrupted
from dapo_cli.options import shared
from dapo_cli.terminal import console


def browse(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port on this machine; 0: any free one.")
    ] = 8001,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a web browser.")] = False,
    db: shared.Db = None,
) -> None:
    """Browse the database in a web browser, with Datasette: tables, filters, SQL and ready queries.

    It is opened for reading only and served to this machine alone, until Ctrl-C. Needs pip install 'dapo-cli[browse]'.
    """
    import signal
    import webbrowser

    from dapo_cli.interchange import server
    from dapo_cli.training.signals import Stop
    from store.session import Database

    server.check_installed()
    with Database.read(database_location(db)) as database:
        path, location = database.path, database.location
    if path is None:
        raise BadInput(f"{location} is on a server: Datasette reads SQLite files only, so name one with --db")
    port = server.free_port(port)

    def ready(url: str) -> None:
        console.write(url)
        console.info(f"browsing {location}, for reading only; Ctrl-C ends it")
        if not no_open:
            webbrowser.open(url)

    with Stop() as stop:
        server.serve(path, location, port, ready=ready, stopped=lambda: stop.requested is not None)
    if stop.requested not in (None, signal.SIGINT):
        raise Interrupted(f"ended by {signal.Signals(stop.requested).name}", stop.requested)
