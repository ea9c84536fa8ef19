"""Look after the results database: info, check, upgrade, backup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from store.integrity.checking import Report

db = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="Look after the results database: info, check, upgrade, backup."
)


@db.command()
def info(db: shared.Db = None, json: shared.Json = False) -> None:
    """Show its place, size, schema and contents."""
    from dapo_cli.terminal import formatting
    from store.transfer import maintenance

    facts = maintenance.info(database_location(db))
    if json:
        console.print_json(facts)
        return
    newest = facts["schema"] == facts["head"]
    fields: dict[str, console.Cell] = {
        "database": facts["location"],
        "size": "" if facts["bytes"] is None else formatting.bytes_text(facts["bytes"]),
        "files of runs": f"{formatting.bytes_text(facts['files_bytes'])} in {facts['files']}",
        "schema": facts["schema"] + ("" if newest else f" (this dapo's is {facts['head']})"),
        "journal mode": facts["journal_mode"] or "",
        "runs": ", ".join(f"{count} {status}" for status, count in facts["runs"].items()) or "none",
    }
    console.print_fields({name: value for name, value in fields.items() if value}, indent=0)
    console.print_heading("Rows")
    console.print_fields({name: str(count) for name, count in facts["rows"].items()})


def _advice(report: Report) -> Iterator[str]:
    from store.integrity.checking import VALUES

    of_values = [problem for problem in report.problems if problem.startswith(VALUES)]
    if of_values:
        yield "values: another program wrote them; correct them with SQL, or delete their runs with dapo delete"
    of_checkpoints = [problem.startswith("run ") for problem in report.problems if problem not in of_values]
    if any(of_checkpoints):
        yield "checkpoints: dapo resume falls back to the one before; the recorded results are not touched by this"
    if not all(of_checkpoints):
        older = f"; of older schemas there are {', '.join(map(str, report.backups))}" if report.backups else ""
        yield f"the file: move it away with its -wal and -shm, and put a copy by dapo db backup in its place{older}"
        yield "without a copy: sqlite3 OLD .recover | sqlite3 NEW, then dapo db check --db NEW"


@db.command()
def check(db: shared.Db = None, json: shared.Json = False) -> None:
    """Read everything: are the pages, references, values and checkpoints whole?

    Changes nothing. Exit code 1 if something is wrong; what to do is said, too.
    """
    from store.integrity import checking

    location = database_location(db)
    report = checking.check(location)
    if json:
        console.print_json({**report._asdict(), "whole": not report.problems})
    else:
        for problem in report.problems:
            console.warning(problem)
        for folder in report.leftovers:
            console.info(f"belongs to no run, and may be deleted: {folder}")
        apart = f", {report.apart} not here" if report.apart else ""
        console.write("damaged" if report.problems else f"whole; {report.checkpoints} checkpoints read{apart}")
        if report.apart:
            console.info(
                "the runs' files are not beside the database, as in a copy without its folder NAME.files: "
                "all results are here; to resume or evaluate a run, copy that folder, too"
            )
    if report.problems:
        for advice in _advice(report):
            console.info(advice)
        raise typer.Exit(1)


@db.command()
def upgrade(db: shared.Db = None) -> None:
    """Upgrade the schema, after a backup beside the database."""
    from store.transfer import maintenance

    old, new, backup = maintenance.upgrade(database_location(db))
    if old == new:
        console.info(f"nothing to do: the schema is {new}, the newest")
    else:
        console.info(f"upgraded the schema from {old} to {new}" + (f"; the old one is {backup}" if backup else ""))


@db.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The copy; must not exist yet.")],
    db: shared.Db = None,
) -> None:
    """Copy the database and the runs' files.

    Runs may go on training meanwhile.
    """
    from store.transfer import maintenance

    console.write(str(maintenance.backup(database_location(db), target)))
