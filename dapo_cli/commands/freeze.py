"""Pin the runs behind a submission under a name."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import shared
from dapo_cli.options.run_options import ChosenRuns
from dapo_cli.terminal import console


def freeze(
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The name; without one, list what is frozen.")
    ] = None,
    runs: ChosenRuns,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the selection; its runs stay.")] = False,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Pin the runs behind a submission under a name.

    The runs that the options choose are what --selection NAME means from then on, whatever is trained later; compare
    --against NAME shows the cells that changed since. Runs that a comparison leaves out are not pinned.
    """
    from store.records import selections
    from store.session import Database

    location = database_location(db)
    if name is None:
        if remove:
            raise BadInput("--remove: name the selection: dapo freeze NAME --remove")
        _list(location, json)
        return
    if remove:
        with Database.write(location) as database:
            selections.remove(database, name)
        console.info(f"forgot the selection '{name}'")
        return
    from dapo_cli.analysis.selection.selected import select

    with Database.read(location) as database:
        chosen = select(database, runs.choice())
    if not chosen.runs:
        left_out = "".join(f" ({note})" for note in chosen.notes())
        raise BadInput(f"no run to pin{left_out}: see what there is with dapo runs")
    with Database.write(location) as database:
        selections.freeze(database, name, [run["id"] for run in chosen.runs])
    if json:
        console.print_json({"name": name, "runs": [run["id"] for run in chosen.runs]})
    else:
        count = len(chosen.runs)
        console.info(f"'{name}' pins {count} {'run' if count == 1 else 'runs'}: use it as --selection {quote(name)}")
    for note in chosen.notes():
        console.info(note)


def _list(location: str, json: bool) -> None:
    from dapo_cli.terminal import formatting
    from store.records import selections
    from store.session import Database

    with Database.read(location) as database:
        rows = selections.names(database)
    if json:
        console.print_json(rows)
    elif rows:
        cells = [
            (
                row["name"],
                str(row["runs"]),
                str(row["missing"]) if row["missing"] else "–",
                formatting.age_text(row["created_at"]),
            )
            for row in rows
        ]
        console.print_table(("name", "runs", "missing", "age"), cells, right=("runs", "missing", "age"), keys=("name",))
    else:
        console.info("nothing is frozen yet: pin runs with dapo freeze NAME --where …")
