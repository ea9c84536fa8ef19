"""The options of `dapo sweep` that say who trains its runs. `request` makes of most what `launchers.launch` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.work.launchers import Request

Launcher = Annotated[
    str, typer.Option("--launcher", metavar="NAME", help="Who starts the workers: local, ray or slurm.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Workers to start (ray: as many as the cluster has room for)."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="Of the Ray cluster: HOST:PORT or auto; else RAY_ADDRESS."),
]
Cpus = Annotated[float, typer.Option("--cpus", metavar="N", min=0, help="CPUs for each run, on ray and slurm.")]
Gpus = Annotated[float, typer.Option("--gpus", metavar="N", min=0, help="GPUs for each run, on ray and slurm.")]
Slurm = Annotated[
    list[str] | None,
    typer.Option("--slurm", metavar="NAME=VALUE", help="An option of sbatch, such as partition=cpu. Repeatable."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/N", help="Only the K-th of N parts, for machines that share no database."),
]


def request(workers: int | None, address: str | None, cpus: float, gpus: float, slurm: Sequence[str] | None) -> Request:
    """The request that these options make, for any queue, each worker with one run at once. Raises BadInput."""
    if not cpus > 0:
        raise BadInput("--cpus 0: a run needs some of a CPU, such as --cpus 0.5")
    return Request("", None, workers, 1, cpus, gpus, address, tuple(slurm or ()))
