"""Say where an exported number comes from: runs, scores, commits, and the SQL that gives the raw numbers."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from store.session import Database


def why(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A cell's key, such as 4cb42150.2.1, or a table's.")],
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Where else to look for it: exported tables.")
    ] = None,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Say where an exported number comes from.

    Prints the number with its statistic and interval, the runs behind it with seed, status and score, those left out,
    how they were chosen, the commits and versions that made them, and the SQL that gives the raw numbers. A table's key
    lists its cells.
    """
    from store.session import Database

    match = re.fullmatch(r"([0-9a-f]{8})(?:\.(\d+)\.(\d+))?", key)
    if match is None:
        raise BadInput(f"'{key}' is no key: write it like 4cb42150.2.1; it stands with the table")
    with Database.read(database_location(db)) as database:
        found = _find(database, match[1], files or [])
        cells: dict[str, Any] = found["definition"]["cells"]
        if match[2] is None:
            _print_cells(match[1], found, json)
            return
        place = f"{match[2]}.{match[3]}"
        if place not in cells:
            raise BadInput(f"table {match[1]} has no cell {place}: {did_you_mean(place, cells)}")
        facts = _facts(database, key, found, cells[place])
        changed = _has_changed(database, match[1], found["command"])
    if json:
        console.print_json(facts)
    else:
        _print(facts)
    if changed:
        console.info("this is what was exported; runs or scores of the table have changed since: see dapo verify FILE")


def _find(database: Database, export: str, files: list[str]) -> dict[str, Any]:
    """`command` and `definition` of an export: of the record, else of the table in a file, made again."""
    from dapo_cli.analysis.export import table_export
    from dapo_cli.analysis.export.parse import tables_in_files
    from dapo_cli.options.table_options import from_command
    from store.records import exports as store_exports

    found = store_exports.find(database, export)
    if found is not None:
        if not isinstance(found["definition"], dict) or found["definition"].get("format") != 1:
            raise BadInput(f"export {export} was recorded by another dapo: use that one, or export the table again")
        return found
    tables, _, unread = tables_in_files(files)
    for file, table in tables:
        if table.export == export:
            made = table_export.make(database, *from_command(table.command))
            if made.sheet.export != export:
                verify = f"dapo verify {shlex.quote(file)}"
                raise BadInput(f"the runs behind {export} have changed since {file} was written: {verify}")
            return {"command": made.sheet.command, "created_at": None, "definition": made.definition}
    if unread:
        raise unread[0]
    where = f" nor in {', '.join(files)}" if files else ""
    raise BadInput(
        f"no export {export} in {database.location}{where}: name the file that holds it: dapo why {export} FILE"
    )


def _has_changed(database: Database, export: str, command: str) -> bool:
    """Whether the command would make another table now."""
    from dapo_cli.analysis.export import table_export
    from dapo_cli.options.table_options import from_command
    from store.errors import StoreError

    try:
        return table_export.make(database, *from_command(command)).sheet.export != export
    except (BadInput, StoreError):
        return True


def _facts(database: Database, key: str, found: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """Everything about one cell."""
    from store.records import exports as store_exports
    from store.records import runs

    definition = found["definition"]
    ids = [run["id"] for run in cell["runs"]]
    hyperparameters = definition["what"] == "hyperparameters"
    measure = f"={cell['labels']['setting']}" if hyperparameters else definition["measure"].partition(":")[0]
    query = store_exports.raw_numbers(measure, ids)
    behind = Counter(row[0] for row in store_exports.rows_of(database, query))
    listed = runs.listing(database, where=store_exports.these(ids))
    known = {run["id"]: run for run in listed}
    sources = Counter(_source(known[id_]) for id_ in ids if id_ in known)
    return {
        "key": key,
        **{name: value for name, value in cell.items() if name not in ("runs", "left_out")},
        "measure": definition["measure"],
        "normalise": definition.get("normalise"),
        "runs": [{**run, "rows": behind[run["id"]], "exists": run["id"] in known} for run in cell["runs"]],
        "left_out": cell.get("left_out", []),
        "notes": definition["notes"],
        "made_by": dict(sources),
        "command": found["command"],
        "exported_at": found["created_at"],
        "sql": store_exports.sql_text(query),
    }


def _source(run: dict[str, Any]) -> str:
    """`dapo 0.1.0, commit 36e93f26`: what made a run."""
    commit = (run["commit"] or "")[:12]
    version = (run["versions"] or {}).get("dapo-cli")
    parts = [f"imported from {run['source']}"] if run.get("source") else []
    parts += [f"dapo {version}"] if version else []
    parts += [f"commit {commit}{' with uncommitted changes' if run['dirty'] else ''}"] if commit else []
    return ", ".join(parts) or "unknown"


def _print_cells(export: str, found: dict[str, Any], json: bool) -> None:
    cells = found["definition"]["cells"]
    rows = [
        {"key": f"{export}.{place}", **cell["labels"], "n": cell["n"], "shown": cell["shown"]}
        for place, cell in cells.items()
    ]
    if json:
        console.print_json({"export": export, "command": found["command"], "cells": rows})
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[str(row.get(name, "–")) for name in names] for row in rows]
    console.print_table(names, texts, right=("n",), whole=("key",), keys=("key",))
    console.info(f"made by: {found['command']}")


def _print(facts: dict[str, Any]) -> None:
    from dapo_cli.terminal import formatting

    def text(value: Any) -> str:
        return formatting.number_text(value) if isinstance(value, float) else str(value)

    labels = ", ".join(f"{name} = {'–' if value is None else value}" for name, value in facts["labels"].items())
    fields = {"cell": f"{facts['key']} ({labels})", "shown": facts["shown"]}
    if "value" in facts:
        fields["value"] = f"{facts['value']!r}, the {facts['statistic']} of n = {facts['n']} runs"
        if facts["method"]:
            fields["interval"] = f"95 %, {facts['method']}: [{facts['low']!r}, {facts['high']!r}]"
        scale = f", normalised by {facts['normalise']}" if facts["normalise"] else ""
        fields["score"] = f"{facts['measure']}{scale}"
        if "difference" in facts:
            fields["difference"] = (
                f"{text(facts['difference'])} [{text(facts['difference_low'])}, {text(facts['difference_high'])}], "
                f"p = {text(facts['p'])}, {facts['difference_method'] or 'not tested'}"
            )
    fields |= {f"note {i}": note for i, note in enumerate([*facts.get("footnotes", []), *facts["notes"]], 1)}
    fields["made by"] = "; ".join(f"{source}: {count} runs" for source, count in facts["made_by"].items())
    fields["command"] = facts["command"]
    console.print_fields({name: value for name, value in fields.items() if value}, indent=0)
    console.print_heading("Runs")
    rows = [
        (
            run["id"][:8],
            run["env"],
            str(run["seed"]),
            run["status"] if run["exists"] else "deleted",
            text(run["score"]),
            str(run["rows"]),
        )
        for run in facts["runs"]
    ]
    rows += [(run["id"][:8], run["env"], str(run["seed"]), run["status"], "left out", "–") for run in facts["left_out"]]
    counted = "episodes" if facts["measure"].startswith("final") else "rows"
    titles = ("run", "env", "seed", "status", "score", counted)
    console.print_table(titles, rows, right=("seed", "score", counted), whole=("run",), keys=("run",))
    console.print_heading("The raw numbers")
    for line in facts["sql"].split("\n"):
        console.write(console.visible(line))
