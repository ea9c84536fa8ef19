"""Recompute exported tables and name the cells that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.export.parse import Found
    from store.session import Database


def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files with tables that dapo table wrote.")],
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Recompute exported tables and name the cells that moved.

    Every table in the files, several in one and among other text, too, is made again by the command that stands with
    it; a file without one is passed over. The exit code is 0 if all cells are as they were, and 1 if not: a run was
    added or removed, a score changed, or somebody edited the file. It is 2 if a file cannot be read.
    """
    from dapo_cli.analysis.export.parse import NoTable, tables_in_files
    from store.session import Database

    found, passed, unread = tables_in_files(files)
    if not found:
        raise (
            (unread or passed)[0]
            if len(files) == 1 or unread
            else NoTable(
                f"none of these {len(files)} files has a table of dapo's: write one with dapo table --out FILE"
            )
        )
    for error in passed:
        console.info(f"passed over: {error}")
    for error in unread:
        console.warning(str(error))
    with Database.read(database_location(db)) as database:
        results = [_verified(database, file, table) for file, table in found]
    if json:
        console.print_json(results)
    else:
        for result in results:
            for line in _lines(result):
                console.write(console.visible(line))
    if unread or any(result["moved"] for result in results):
        raise typer.Exit(2 if unread else 1)


def _verified(database: Database, file: str, found: Found) -> dict[str, Any]:
    from dapo_cli.analysis.export import parse, table_export
    from dapo_cli.analysis.export.verify import moved
    from dapo_cli.options.table_options import from_command
    from store.errors import StoreError
    from store.records import exports as store_exports

    request, style = from_command(found.command)
    result = {
        "file": file,
        "export": found.export,
        "command": found.command,
        "cells": sum(cell.key is not None for cell in found.cells.values()),
    }
    try:
        made = table_export.make(database, request, style)
    except (BadInput, StoreError) as error:
        gone = {"labels": "all", "key": found.export, "old": "a table", "new": "none", "why": str(error)}
        return {**result, "moved": [gone]}
    (new,) = parse.tables_in(made.text)
    record = store_exports.find(database, found.export)
    changes = moved(found, new, record and record["definition"], made.definition, made.table.split)
    return {**result, "moved": [change._asdict() for change in changes]}


def _lines(result: dict[str, Any]) -> list[str]:
    name, changes = f"{result['file']}: {result['export']}", result["moved"]
    if not changes:
        return [f"{name}: all {result['cells']} cells are as they were"]
    return [
        f"{name}: {change['key']} {change['labels']}: {change['old']} → {change['new']}: {change['why']}"
        for change in changes
    ]
