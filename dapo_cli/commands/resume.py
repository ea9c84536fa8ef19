"""Train an interrupted run on to its end."""

from __future__ import annotations

from dapo_cli.options import Db, Json, Modules, Run


def resume(
    run: Run,
    db: Db = None,
    modules: Modules = None,
    as_json: Json = False,
) -> None:
    """Train an interrupted run on to its end, from its last checkpoint and with its own settings."""
    from dapo_cli.commands._closing import print_closing
    from dapo_cli.project_file import database_location
    from dapo_cli.training import session

    location = database_location(db)
    print_closing(location, session.resume(location, run, modules or ()), as_json)
