"""List the runs, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.terminal import console

DEFAULT_LIMIT = 20
NOTE_LENGTH = 40  # characters of a note that a terminal shows


def runs(
    where: shared.Where = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="Sort by a field, such as final or beta; -FIELD for descending."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"At most N runs; else {DEFAULT_LIMIT}, with --json all."),
    ] = None,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """List the runs, newest first.

    For example: --where "algo = 'dapo-kl' and beta < 0.5 and env ~ 'Cheetah'". A filter compares fields with = != < <=
    > >= ~ (contains) !~ and in (…), joined by and, or, not and parentheses. Fields are algo, env, seed, status, tag,
    note, final (the final return), age (age < 2d), created_at (>= yesterday), every other column of the table run, and
    every hyperparameter.
    """
    from dapo_cli.analysis.selection import listing
    from dapo_cli.terminal import formatting
    from store.records.runs import shorten
    from store.session import Database

    if limit is None and not json:
        limit = DEFAULT_LIMIT
    with Database.read(database_location(db)) as database:
        rows, total = listing.select_runs(database, where=where, sort=sort, limit=limit)
        short = shorten(database)
    noted = any(row["note"] for row in rows)
    if json:
        console.print_json(rows)
    elif rows:
        console.print_table(
            ("id", "algo", "env", "seed", "status", "steps", "final", "age", "tags", *(["note"] if noted else [])),
            [
                (
                    short[row["id"]],
                    row["algo"],
                    row["env"],
                    str(row["seed"]),
                    (row["status"], console.STATUS_STYLES.get(row["status"], "")),
                    formatting.progress_text(row["step"], row["steps"]),
                    formatting.number_text(row["final"]),
                    formatting.age_text(row["created_at"]),
                    " ".join(row["tags"]),
                    *([_note_text(row["note"] or "")] if noted else []),
                )
                for row in rows
            ],
            right=("seed", "steps", "final", "age"),
            whole=("id", "status"),
            keys=("id",),
            droppable=("tags", "age"),
        )
    if not rows:
        console.info("no run matches" if where else f"no runs in {database.location} yet: train one with dapo train")
    elif total > len(rows):
        console.info(f"{total - len(rows)} more: show them with --limit {total}")


def _note_text(note: str) -> str:
    """A note as far as a terminal has room for it; whole in a pipe."""
    return note if len(note) <= NOTE_LENGTH or not console.out().is_terminal else f"{note[:NOTE_LENGTH].rstrip()}…"
