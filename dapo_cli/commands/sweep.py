"""Train a grid of runs: from a file or from options, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.commands import _sweep_control, _sweeping
from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Db, Json, whole_number
from dapo_cli.sweeps.work.launchers import options as launching
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.sweeps.definition.sweep_file import Definition
    from dapo_cli.sweeps.work.launchers import Request

Algo = Annotated[
    str | None,
    typer.Option(metavar="ALGO,…", help="Algorithms, separated by commas.", autocompletion=completion.algorithms),
]
Env = Annotated[
    str | None,
    typer.Option(metavar="ENV,…", help="Gymnasium environments.", autocompletion=completion.environments),
]
Seeds = Annotated[
    str | None, typer.Option(metavar="N|LIST", help="Seeds: 5 for 0 to 4, or a list such as 0-4,7 [default: 5].")
]
Steps = Annotated[
    int | None, typer.Option(metavar="N", parser=whole_number, help="Environment steps of each run [default: 1e6].")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="[ALGO.]KEY=VALUE,…", help="Values of a setting, such as dapo-kl.beta=0.1,0.5. Repeatable."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="FILTER", help='Leave out matching runs, such as "beta > 0.5 and m = 1". Repeatable.'),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="The sweep's name, by which it is found again.")]
Preset = Annotated[
    str | None, typer.Option(metavar="NAME", help="Hyperparameters by name.", autocompletion=completion.presets)
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word for every run. Repeatable.")]
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="A remark, kept with every run.")]
Tuning = Annotated[
    bool | None,
    typer.Option("--tuning/--reporting", help="Runs to choose hyperparameters by, or to report [default: to report]."),
]
Jobs = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=4096, help="Runs side by side [default: one for each core].")
]
Enqueue = Annotated[bool, typer.Option("--enqueue", help="Only fill the queue; dapo worker works it off.")]
Again = Annotated[bool, typer.Option("--again", help="Train also what other sweeps have trained already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the runs, their time and their space; write nothing.")]

sweep = typer.Typer(add_completion=False, rich_markup_mode=None)


@sweep.callback(invoke_without_command=True)
def create(
    context: typer.Context,
    algo: Algo = None,
    env: Env = None,
    seeds: Seeds = None,
    steps: Steps = None,
    assignments: Set = None,
    exclude: Exclude = None,
    name: Name = None,
    preset: Preset = None,
    tags: Tags = None,
    note: Note = None,
    tuning: Tuning = None,
    jobs: Jobs = None,
    enqueue: Enqueue = False,
    again: Again = False,
    dry_run: DryRun = False,
    launcher: launching.Launcher = "local",
    workers: launching.Workers = None,
    address: launching.Address = None,
    cpus: launching.Cpus = 1.0,
    gpus: launching.Gpus = 0.0,
    slurm: launching.Slurm = None,
    shard: launching.Shard = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
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

    named: dict[str, Any] = {"seeds": seeds, "steps": steps, "name": name, "preset": preset, "note": note}
    lists: dict[str, Any] = {"assignments": assignments or (), "exclude": exclude or (), "tags": tags or ()}
    typed = sweep_file.typed_layer(algo=algo, env=env, tuning=tuning, **named, **lists)
    team = launching.request(workers, address, cpus, gpus, slurm)
    _do(sweep_file.from_command_line(typed), db, jobs, enqueue, again, dry_run, launcher, team, shard, as_json)


@sweep.command("run")
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The sweep's definition (docs/sweeps.md).")],
    algo: Algo = None,
    env: Env = None,
    seeds: Seeds = None,
    steps: Steps = None,
    assignments: Set = None,
    exclude: Exclude = None,
    name: Name = None,
    preset: Preset = None,
    tags: Tags = None,
    note: Note = None,
    tuning: Tuning = None,
    jobs: Jobs = None,
    enqueue: Enqueue = False,
    again: Again = False,
    dry_run: DryRun = False,
    launcher: launching.Launcher = "local",
    workers: launching.Workers = None,
    address: launching.Address = None,
    cpus: launching.Cpus = 1.0,
    gpus: launching.Gpus = 0.0,
    slurm: launching.Slurm = None,
    shard: launching.Shard = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Train the sweep that a file defines. Options stand in place of what the file says."""
    from dapo_cli.sweeps.definition import sweep_file

    named: dict[str, Any] = {"seeds": seeds, "steps": steps, "name": name, "preset": preset, "note": note}
    lists: dict[str, Any] = {"assignments": assignments or (), "exclude": exclude or (), "tags": tags or ()}
    typed = sweep_file.typed_layer(algo=algo, env=env, tuning=tuning, **named, **lists)
    team = launching.request(workers, address, cpus, gpus, slurm)
    _do(sweep_file.read(file, typed), db, jobs, enqueue, again, dry_run, launcher, team, shard, as_json)


def _do(
    definition: Definition,
    db: str | None,
    jobs: int | None,
    enqueue: bool,
    again: bool,
    dry_run: bool,
    launcher: str,
    team: Request,
    shard: str | None,
    as_json: bool,
) -> None:
    """Print the plan, or put it into the queue and work that off."""
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.sweeps.definition import plan as planning
    from dapo_cli.sweeps.definition import shards
    from dapo_cli.sweeps.work import launchers

    location = database_location(db)
    team = team._replace(location=location, sweep=definition.name, jobs=jobs or 1)
    elsewhere = launcher != "local" or team.workers is not None  # than in this process
    launchers.check(launcher, team)
    part = None if shard is None else shards.parse(shard)
    if definition.value("search") is not None:
        if elsewhere or enqueue or again or part:
            raise BadInput(
                "a search works here: start it without --launcher, --workers, --enqueue, --again and --shard"
            )
        _sweeping.search(location, definition, jobs or _sweeping.cores(), dry_run, as_json)
        return
    if dry_run:
        _sweeping.print_plan(planning.make(location, definition, part), location, jobs or _sweeping.cores(), as_json)
        if elsewhere and not as_json:
            launchers.launch(launcher, team, dry_run=True)
        return
    plan, queued = planning.enqueue(location, definition, again=again, shard=part)
    _sweeping.say_queued(plan, queued)
    if enqueue:
        if as_json:
            console.print_json({"sweep": plan.definition.name, "runs": queued.runs, "added": queued.added})
        return
    if elsewhere:
        done = launchers.launch(launcher, team._replace(modules=tuple(_sweeping.modules(plan))))
        if done and not _sweeping.say_result(location, definition.name, as_json):
            raise typer.Exit(1)
        return
    if not _sweeping.work_off(location, plan, jobs or _sweeping.cores(), as_json):
        raise typer.Exit(1)


def _is_default(context: typer.Context, key: str) -> bool:
    source = context.get_parameter_source(key)
    return source is None or source.name.startswith("DEFAULT")


_sweep_control.register(sweep)
