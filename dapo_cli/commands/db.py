"""Look after the results database: info, upgrade, backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dapo_cli import console, options
from dapo_cli.project_file import database_location

db = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="Look after the results database: info, upgrade, backup."
)


@db.command()
def info(db: options.Db = None, json: options.Json = False) -> None:
    """Show its place, size, schema and contents."""
    from dapo_cli import display
    from store import maintenance

    facts = maintenance.info(database_location(db))
    if json:
        console.print_json(facts)
        return
    newest = facts["schema"] == facts["head"]
    fields: dict[str, console.Cell] = {
        "database": facts["location"],
        "size": "" if facts["bytes"] is None else display.bytes_text(facts["bytes"]),
        "files of runs": display.bytes_text(facts["files_bytes"]),
        "schema": facts["schema"] + ("" if newest else f" (this dapo's is {facts['head']})"),
        "journal mode": facts["journal_mode"] or "",
        "runs": ", ".join(f"{count} {status}" for status, count in facts["runs"].items()) or "none",
    }
    console.print_fields({name: value for name, value in fields.items() if value}, indent=0)
    console.print_heading("Rows")
    console.print_fields({name: str(count) for name, count in facts["rows"].items()})


@db.command()
def upgrade(db: options.Db = None) -> None:
    """Upgrade the schema, after a backup beside the database."""
    from store import maintenance

    old, new, backup = maintenance.upgrade(database_location(db))
    if old == new:
        console.info(f"nothing to do: the schema is {new}, the newest")
    else:
        console.info(f"upgraded the schema from {old} to {new}" + (f"; the old one is {backup}" if backup else ""))


@db.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The copy; must not exist yet.")],
    db: options.Db = None,
) -> None:
    """Copy the database and the runs' files.

    Runs may go on training meanwhile.
    """
    from store import maintenance

    console.write(str(maintenance.backup(database_location(db), target)))
