"""Train an interrupted run on to its end, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Db, Json, Modules
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.training.resuming import Continued


def resume(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run: its id or any unique prefix.", autocompletion=completion.runs),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every interrupted or dead run, one after another, oldest first.")
    ] = False,
    db: Db = None,
    modules: Modules = None,
    as_json: Json = False,
) -> None:
    """Train an interrupted run on to its end, from its last checkpoint and with its own settings."""
    from dapo_cli.configuration.project_file import database_location

    if every == (run is not None):
        raise BadInput("say which run to resume (dapo runs --where 'status = interrupted' lists them), or --all")
    location = database_location(db)
    if run is None:
        _resume_all(location, modules or [], as_json)
    else:
        from dapo_cli.commands._closing import print_closing
        from dapo_cli.training import session

        print_closing(location, [session.resume(location, run, modules or ())], as_json)


def _resume_all(location: str, modules: list[str], as_json: bool) -> None:
    from dapo_cli.training import resuming
    from store.records import runs
    from store.session import Database

    waiting = resuming.interrupted(location)
    with Database.read(location) as database:
        names = runs.shorten(database)
    console.info(f"{len(waiting)} interrupted {'run' if len(waiting) == 1 else 'runs'} to continue")
    for run in waiting:
        place = f"step {run['step']} of {run['steps']}"
        console.info(f"  {names[run['id']]}  {run['algo']}  {run['env']}  seed {run['seed']}  {place}")
    done: list[resuming.Continued] = []
    try:
        for continued in resuming.resume_all(location, [run["id"] for run in waiting], modules):
            done.append(continued)
            if continued.remark:
                console.warning(continued.remark)
    finally:  # also of what was done before a signal or a full disk
        _print_summary(waiting, names, done, as_json)
    if any(continued.result != "completed" for continued in done):
        raise typer.Exit(1)


def _print_summary(waiting: list[dict[str, Any]], names: dict[str, str], done: list[Continued], as_json: bool) -> None:
    results = {continued.run_id: continued for continued in done}
    rows = []
    for run in waiting:
        continued = results.get(run["id"])
        result, remark = (continued.result, continued.remark) if continued else ("still interrupted", "")
        columns = {name: run[name] for name in ("id", "algo", "env", "seed", "steps")}
        rows.append({**columns, "result": result, "remark": remark})
    if as_json:
        console.print_json(rows)
    elif rows:
        cells: list[list[console.Cell]] = []
        for row in rows:
            style = console.STATUS_STYLES.get(row["result"], "yellow")
            plain = [names[row["id"]], row["algo"], row["env"], str(row["seed"]), str(row["steps"])]
            cells.append([*plain, (row["result"], style)])
        console.print_table(
            ("run", "algo", "env", "seed", "steps", "result"), cells, right=("seed", "steps"), keys=("run",)
        )
