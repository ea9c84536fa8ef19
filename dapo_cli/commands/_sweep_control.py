"""What is done to a sweep that exists: look at it, pause, resume, retry, cancel, rename, top up. Nothing is trained."""

from __future__ import annotations

import time
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.options.shared import Db, Json
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.sweeps.work.status import Picture
    from store.session import Database

WATCH_SECONDS = 2.0

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again and again until it is done.")]


def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The sweep; without, all of them.")] = None,
    watch: Watch = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Show how far a sweep is: its groups, the best so far, its workers, the time left."""
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.errors import BadInput
    from dapo_cli.sweeps.work.status import Overview
    from dapo_cli.sweeps.work.status import as_json as record
    from store.queue import sweeps
    from store.session import Database

    if watch and as_json:
        raise BadInput("--watch is for the eye: leave out --json, or --watch")
    with Database.read(database_location(db)) as database:
        if name is None and not watch:
            pictures = [p for sweep in sweeps.listing(database) for p in Overview(sweep["name"]).pictures(database)]
        elif not watch:
            pictures = Overview(name).pictures(database)
        else:
            _watch(database, name)
            return
    if as_json:
        console.print_json(record(pictures[0]) if name is not None else [record(picture) for picture in pictures])
    elif name is not None:
        _print_one(pictures[0])
    elif pictures:
        _print_all(pictures)
    else:
        console.info("no sweeps yet: make one with: dapo sweep")


def pause(name: Name, db: Db = None) -> None:
    """Stop a sweep's runs, each with a checkpoint, and start none until dapo sweep resume."""
    from store.queue import sweeps

    with _writing(db) as database:
        before = sweeps.set_state(database, name, "paused")
    console.info(
        f"sweep {name} is paused{' already' if before == 'paused' else ''}: dapo sweep resume {quote(name)} goes on"
    )


def resume(name: Name, db: Db = None) -> None:
    """Let a paused sweep go on."""
    from dapo_cli.errors import BadInput
    from store.queue import sweeps

    with _writing(db) as database:
        if sweeps.get(database, name)["state"] == "cancelled":
            raise BadInput(f"sweep {name} is cancelled: queue its runs again with: dapo sweep retry {quote(name)}")
        sweeps.set_state(database, name, "active")
        _say_who_works(database, name)


def retry(name: Name, db: Db = None) -> None:
    """Queue a sweep's failed, interrupted and cancelled runs again. A diverged run is a result, and stays."""
    from store.queue import sweeps

    with _writing(db) as database:
        again = sweeps.retry(database, name)
        console.info(f"{len(again)} {'run' if len(again) == 1 else 'runs'} queued again")
        _say_who_works(database, name)


def cancel(name: Name, db: Db = None) -> None:
    """End a sweep: no run of it starts any more, and those that train stop with a checkpoint. Results stay."""
    from store.queue import sweeps

    with _writing(db) as database:
        sweeps.set_state(database, name, "cancelled")
    console.info(f"sweep {name} is cancelled; its results stay, and dapo sweep retry {quote(name)} takes it up again")


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The sweep.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    db: Db = None,
) -> None:
    """Give a sweep another name. Workers that train it go on."""
    from dapo_cli.errors import BadInput
    from store.queue import sweeps

    if not new.strip():
        raise BadInput(f"a sweep has a name: dapo sweep rename {quote(old)} main")
    with _writing(db) as database:
        if "search" in sweeps.get(database, old)["definition"]:
            raise BadInput(f"sweep {old} is a search, which goes on by its name: it keeps it")
        sweeps.rename(database, old, new)
    console.info(f"sweep {old} is called {new} now")


def top_up(
    name: Name,
    seeds: Annotated[str, typer.Option(metavar="N|LIST", help="All seeds that it shall have: 10 for 0 to 9.")],
    db: Db = None,
) -> None:
    """Give a sweep more seeds; the runs that it has stay."""
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.sweeps.definition import plan, sweep_file
    from store.queue import sweeps
    from store.session import Database

    location = database_location(db)
    with Database.read(location) as database:
        held = sweeps.get(database, name)
    wider = sweep_file.with_typed(sweep_file.restored(held["name"], held["definition"]), {"seeds": seeds})
    _, queued = plan.enqueue(location, wider)
    console.info(f"{len(queued.added)} new runs, {len(queued.shared)} shared with other sweeps")
    with _writing(db) as database:
        _say_who_works(database, name)


def register(group: typer.Typer) -> None:
    """Make these the subcommands of `dapo sweep`."""
    for function in (status, pause, resume, retry, cancel, rename, top_up):
        group.command(function.__name__.replace("_", "-"))(function)


def _writing(db: str | None) -> Database:
    """The database, open for writing; one that is not there is not created. StoreError."""
    from dapo_cli.configuration.project_file import database_location
    from store.session import Database

    location = database_location(db)
    with Database(location, writable=False) as database:
        database.revision()
    return Database.write(location)


def _say_who_works(database: Database, name: str) -> None:
    from store.queue import sweeps, workers

    if sweeps.get(database, name)["state"] == "paused":
        console.info(f"sweep {name} is paused: dapo sweep resume {quote(name)} lets it go on")
        return
    serving = [w for w in workers.listing(database) if w["alive"] and w["sweep"] in (None, name)]
    if serving:
        console.info(f"{len(serving)} {'worker is' if len(serving) == 1 else 'workers are'} on it")
    else:
        console.info(f"train what waits with: dapo worker --sweep {quote(name)}")


def _watch(database: Database, name: str | None) -> None:
    """Until nothing waits or trains; on a terminal in place, elsewhere a line whenever something has changed."""
    from dapo_cli.sweeps.work import dashboard
    from dapo_cli.sweeps.work import status as view

    overview, said = view.Overview(name), ""
    live = dashboard.Live(name) if console.err().is_terminal else None

    def show() -> bool:
        nonlocal said
        pictures = overview.pictures(database)
        if live is not None:
            live.look(database)
        elif (text := "\n".join(f"{picture.name}: {view.line(picture)}" for picture in pictures)) != said:
            said = text
            console.info(text)
        return any(picture.counts.get(state) for picture in pictures for state in ("queued", "running"))

    if live is None:
        while show():
            time.sleep(WATCH_SECONDS)
        return
    with live.shown():
        while show():
            time.sleep(WATCH_SECONDS)


def _print_one(picture: Picture) -> None:
    from dapo_cli.sweeps.work import status as view

    console.write(console.visible(f"{picture.name}: {view.line(picture)}"))
    columns, rows = view.table(picture)
    right = ("done", "steps", "return")
    console.print_table(columns, rows, right=right, keys=picture.varying)
    for worker in picture.workers:
        console.write(console.visible(view.worker_line(worker)))


def _print_all(pictures: list[Picture]) -> None:
    from dapo_cli.sweeps.work.status import DONE
    from dapo_cli.terminal.formatting import duration_text

    columns = ("sweep", "state", "runs", "done", "running", "queued", "failed", "left")
    rows = []
    for picture in pictures:
        counts = picture.counts
        numbers = (sum(counts.values()), sum(counts.get(state, 0) for state in DONE))
        others = tuple(str(counts.get(state, 0)) for state in ("running", "queued", "failed"))
        left = "–" if not picture.left else duration_text(picture.left)
        rows.append((picture.name, picture.state, *map(str, numbers), *others, left))
    console.print_table(columns, rows, right=columns[2:], keys=("sweep",), droppable=("left", "queued"))
