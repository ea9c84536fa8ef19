"""The options of `dapo sweep` and `dapo sweep run`: what is trained, by whom, and how much of it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Db, Json, whole_number
from dapo_cli.sweeps.work.launchers import Request


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """Which runs there are; all stand over what a file says."""

    algo: Annotated[
        str | None,
        typer.Option(metavar="ALGO,…", help="Algorithms, separated by commas.", autocompletion=completion.algorithms),
    ] = None
    env: Annotated[
        str | None,
        typer.Option(metavar="ENV,…", help="Gymnasium environments.", autocompletion=completion.environments),
    ] = None
    seeds: Annotated[
        str | None, typer.Option(metavar="N|LIST", help="Seeds: 5 for 0 to 4, or a list such as 0-4,7 [default: 5].")
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", parser=whole_number, help="Environment steps of each run [default: 1e6]."),
    ] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[ALGO.]KEY=VALUE,…",
            help="Values of a setting, such as dapo-kl.beta=0.1,0.5. Repeatable.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER", help='Leave out matching runs, such as "beta > 0.5 and m = 1". Repeatable.'),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The sweep's name, by which it is found again."),
    ] = None
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Hyperparameters by name.", autocompletion=completion.presets)
    ] = None
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="A word for every run. Repeatable.")
    ] = None
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="A remark, kept with every run.")] = None
    tuning: Annotated[
        bool | None,
        typer.Option(
            "--tuning/--reporting", help="Runs to choose hyperparameters by, or to report [default: to report]."
        ),
    ] = None

    def layer(self) -> dict[str, Any]:
        """What they say as a layer of a definition; raises BadInput."""
        from dapo_cli.sweeps.definition.sweep_file import typed_layer

        lists = {name: getattr(self, name) or () for name in ("assignments", "exclude", "tags")}
        return typed_layer(**{**vars(self), **lists})


@dataclass(frozen=True, kw_only=True)
class LauncherOptions:
    """Who trains them."""

    launcher: Annotated[
        str,
        typer.Option(metavar="NAME", help="Who starts the workers: local, ray or slurm."),
    ] = "local"
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Workers to start (ray: as many as the cluster has room for)."),
    ] = None
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of the Ray cluster: HOST:PORT or auto; else RAY_ADDRESS."),
    ] = None
    cpus: Annotated[float, typer.Option(metavar="N", min=0, help="CPUs for each run, on ray and slurm.")] = 1.0
    gpus: Annotated[float, typer.Option(metavar="N", min=0, help="GPUs for each run, on ray and slurm.")] = 0.0
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of sbatch, such as partition=cpu. Repeatable."),
    ] = None

    def team(self, location: str, sweep: str, jobs: int | None) -> Request:
        """The workers for this queue; raises BadInput."""
        if not self.cpus > 0:
            raise BadInput("--cpus 0: a run needs some of a CPU, such as --cpus 0.5")
        return Request(
            location, sweep, self.workers, jobs or 1, self.cpus, self.gpus, self.address, tuple(self.slurm or ())
        )


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """All of them."""

    grid: GridOptions
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=4096, help="Runs side by side [default: one for each core].")
    ] = None
    enqueue: Annotated[bool, typer.Option("--enqueue", help="Only fill the queue; dapo worker works it off.")] = False
    again: Annotated[bool, typer.Option("--again", help="Train also what other sweeps have trained already.")] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs, their time and their space; write nothing.")
    ] = False
    launching: LauncherOptions
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Only the K-th of N parts, for machines that share no database."),
    ] = None
    db: Db = None
    as_json: Json = False
