"""Train a grid of runs: from a file or from options, resumable."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options.expansion import expand_groups
from dapo_cli.options.shared import Db, Json
from dapo_cli.options.sweep_options import SweepOptions
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.sweeps.definition.sweep_file import Definition
    from store.session import Database

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sweep.")]

sweep = typer.Typer(add_completion=False, rich_markup_mode=None)


@sweep.callback(invoke_without_command=True)
@expand_groups
def create(*, context: typer.Context, options: SweepOptions) -> None:
    """Train a grid of runs: every algorithm in every environment with every value and every seed.

    The runs wait in a queue in the database, and this command works it off; stopped and typed again, it goes on where
    it was. Enlarged, it adds the new runs only. What has been trained already, by whatever sweep, is not trained again.
    """
    given = [key for key, value in context.params.items() if value and not _is_default(context, key)]
    if context.invoked_subcommand:
        if given:
            raise BadInput(
                f"write options after {context.invoked_subcommand}: dapo sweep {context.invoked_subcommand} …"
            )
        return
    if set(given) <= {"db"}:
        console.write(context.get_help())
        return
    from dapo_cli.sweeps.definition import sweep_file

    _train(sweep_file.from_command_line(options.grid.layer()), options)


@sweep.command("run")
@expand_groups
def run(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The sweep's definition (docs/sweeps.md).")],
    options: SweepOptions,
) -> None:
    """Train the sweep that a file defines. Options stand in place of what the file says."""
    from dapo_cli.sweeps.definition import sweep_file

    _train(sweep_file.read(file, options.grid.layer()), options)


@sweep.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The sweep; without, all of them.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until it is done.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Show how far a sweep is: its groups, the best so far, its workers, the time left."""
    from dapo_cli.sweeps.work import status_view
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
            status_view.watch(database, name)
            return
    if as_json:
        console.print_json(record(pictures[0]) if name is not None else [record(picture) for picture in pictures])
    elif name is not None:
        status_view.print_one(pictures[0])
    elif pictures:
        status_view.print_all(pictures)
    else:
        console.info("no sweeps yet: make one with: dapo sweep")


@sweep.command()
def pause(name: Name, db: Db = None) -> None:
    """Stop a sweep's runs, each with a checkpoint, and start none until dapo sweep resume."""
    from store.queue import sweeps

    with _writing(db) as database:
        before = sweeps.set_state(database, name, "paused")
    console.info(
        f"sweep {name} is paused{' already' if before == 'paused' else ''}: dapo sweep resume {quote(name)} goes on"
    )


@sweep.command()
def resume(name: Name, db: Db = None) -> None:
    """Let a paused sweep go on."""
    from store.queue import sweeps

    with _writing(db) as database:
        if sweeps.get(database, name)["state"] == "cancelled":
            raise BadInput(f"sweep {name} is cancelled: queue its runs again with: dapo sweep retry {quote(name)}")
        sweeps.set_state(database, name, "active")
        _say_who_works(database, name)


@sweep.command()
def retry(name: Name, db: Db = None) -> None:
    """Queue a sweep's failed, interrupted and cancelled runs again. A diverged run is a result, and stays."""
    from store.queue import sweeps

    with _writing(db) as database:
        again = sweeps.retry(database, name)
        console.info(f"{len(again)} {'run' if len(again) == 1 else 'runs'} queued again")
        _say_who_works(database, name)


@sweep.command()
def cancel(name: Name, db: Db = None) -> None:
    """End a sweep: no run of it starts any more, and those that train stop with a checkpoint. Results stay."""
    from store.queue import sweeps

    with _writing(db) as database:
        sweeps.set_state(database, name, "cancelled")
    console.info(f"sweep {name} is cancelled; its results stay, and dapo sweep retry {quote(name)} takes it up again")


@sweep.command()
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The sweep.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    db: Db = None,
) -> None:
    """Give a sweep another name. Workers that train it go on."""
    from store.queue import sweeps

    if not new.strip():
        raise BadInput(f"a sweep has a name: dapo sweep rename {quote(old)} main")
    with _writing(db) as database:
        if "search" in sweeps.get(database, old)["definition"]:
            raise BadInput(f"sweep {old} is a search, which goes on by its name: it keeps it")
        sweeps.rename(database, old, new)
    console.info(f"sweep {old} is called {new} now")


@sweep.command()
def top_up(
    name: Name,
    seeds: Annotated[str, typer.Option(metavar="N|LIST", help="All seeds that it shall have: 10 for 0 to 9.")],
    db: Db = None,
) -> None:
    """Give a sweep more seeds; the runs that it has stay."""
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


def _train(definition: Definition, options: SweepOptions) -> None:
    """Print the plan, or put it into the queue and work that off."""
    from dapo_cli.sweeps.definition import plan as planning
    from dapo_cli.sweeps.definition import shards
    from dapo_cli.sweeps.work import foreground, launchers

    location, as_json = database_location(options.db), options.as_json
    jobs = options.jobs or foreground.cores()
    launcher = options.launching.launcher
    team = options.launching.team(location, definition.name, options.jobs)
    elsewhere = launcher != "local" or team.workers is not None  # than in this process
    launchers.check(launcher, team)
    part = None if options.shard is None else shards.parse(options.shard)
    if definition.value("search") is not None:
        if elsewhere or options.enqueue or options.again or part:
            raise BadInput(
                "a search works here: start it without --launcher, --workers, --enqueue, --again and --shard"
            )
        foreground.search(location, definition, jobs, options.dry_run, as_json)
        return
    if options.dry_run:
        foreground.print_plan(planning.make(location, definition, part), location, jobs, as_json)
        if elsewhere and not as_json:
            launchers.launch(launcher, team, dry_run=True)
        return
    plan, queued = planning.enqueue(location, definition, again=options.again, shard=part)
    foreground.say_queued(plan, queued)
    if options.enqueue:
        if as_json:
            console.print_json({"sweep": plan.definition.name, "runs": queued.runs, "added": queued.added})
        return
    if elsewhere:
        modules = foreground.modules(config.settings.env for config in plan.configs)
        done = launchers.launch(launcher, team._replace(modules=tuple(modules)))
        if done and not foreground.say_result(location, definition.name, as_json):
            raise typer.Exit(1)
        return
    if not foreground.work_off(location, plan, jobs, as_json):
        raise typer.Exit(1)


def _writing(db: str | None) -> Database:
    """The database, open for writing; one that is not there is not created. StoreError."""
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


def _is_default(context: typer.Context, key: str) -> bool:
    source = context.get_parameter_source(key)
    return source is None or source.name.startswith("DEFAULT")
