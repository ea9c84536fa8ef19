"""Mark runs as tuning or reporting, tag them, note something."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from dapo_cli.configuration import remarks
from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.options import completion, shared
from dapo_cli.terminal import console


def mark(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs: ids or unique prefixes.", autocompletion=completion.runs),
    ] = None,
    tuning: Annotated[
        bool | None,
        typer.Option("--tuning/--reporting", help="Whether hyperparameters were chosen by it, or it is reported."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Hang this word on it. Repeatable.", autocompletion=completion.tags),
    ] = None,
    untag: Annotated[
        list[str] | None,
        typer.Option("--untag", metavar="TAG", help="Take this word off. Repeatable.", autocompletion=completion.tags),
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="A remark in place of the old; '' for none.")] = None,
    rename_tag: Annotated[
        tuple[str, str] | None,
        typer.Option("--rename-tag", metavar="OLD NEW", help="Call a tag by another word, on all runs that have it."),
    ] = None,
    where: shared.Where = None,
    db: shared.Db = None,
) -> None:
    """Mark runs as tuning or reporting, tag them, note something.

    Tuning runs chose hyperparameters: compare, table and plot leave them out. Runs may be marked while they are being
    trained, and afterwards; an event of the run keeps what was changed, and when.
    """
    from dapo_cli.analysis.selection.selected import where_condition
    from store.records import marks, runs
    from store.session import Database

    if rename_tag is not None:
        if run_ids or where or tuning is not None or tags or untag or note is not None:
            raise BadInput("--rename-tag is of all runs and stands alone: leave out the rest, or use --tag and --untag")
        where, tags, untag = _renamed(database_location(db), *rename_tag), [rename_tag[1]], [rename_tag[0]]
    if tuning is None and not tags and not untag and note is None:
        raise BadInput("nothing to mark: give --tuning, --reporting, --tag, --untag, --note or --rename-tag")
    if not run_ids and not where:
        raise BadInput("which runs? Give their ids (see dapo runs), or --where FILTER")
    shared.refuse_both(run_ids, where)
    remarks.tags(tags or ())
    remarks.note(note)
    if any(not tag.strip() for tag in untag or ()):
        raise BadInput("--untag: a tag is a word, such as --untag paper")
    if both := sorted({*(tags or ())} & {*(untag or ())}):
        raise BadInput(f"--tag and --untag name the same tag '{both[0]}': give one of the two")
    location = database_location(db)
    with Database.read(location) as database:  # bad input must not upgrade anything
        if where:
            ids = {run["id"] for run in runs.listing(database, where=where_condition(database, where))}
        else:
            ids = {runs.resolve(database, prefix) for prefix in run_ids or ()}
    if not ids:
        raise BadInput("no run matches --where: see what there is with dapo runs")
    kind = None if tuning is None else "tuning" if tuning else "train"
    with Database.write(location) as database:
        changed = marks.mark(database, ids, kind=kind, tags=tags or (), untag=untag or (), note=note)
    what = f"{len(changed)} {'run' if len(changed) == 1 else 'runs'}"
    rest = len(ids) - len(changed)
    console.info(f"marked {what}" + (f"; {rest} {'was' if rest == 1 else 'were'} so already" if rest else ""))


def _renamed(location: str, old: str, new: str) -> str:
    """The filter of the runs whose tag `old` becomes `new`. Raises BadInput where none has it, or some have `new`."""
    from dapo_cli.analysis.selection.listing import all_tags
    from dapo_cli.filters.grammar import quoted
    from dapo_cli.filters.sql import condition
    from store.records import runs
    from store.session import Database

    where = f"tag = {quoted(old)}"
    with Database.read(location) as database:
        known = all_tags(database)
        if old not in known:
            raise BadInput(f"--rename-tag: no run has the tag '{old}': {did_you_mean(old, known)}")
        if new in known:
            count = runs.count(database, condition(database, f"tag = {quoted(new)}"))
            join = f"dapo mark --where {shlex.quote(where)} --tag {shlex.quote(new)} --untag {shlex.quote(old)}"
            has = "1 run has" if count == 1 else f"{count} runs have"
            raise BadInput(f"--rename-tag: {has} the tag '{new}' already: to join the two, write: {join}")
    return where
