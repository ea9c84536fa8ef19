"""Starting workers, here and on other machines: a launcher is handed command lines, and knows nothing of runs.

What every launcher starts is `dapo worker --db … --sweep … --jobs …`. It may be killed at any moment: what it was at
work on stays in the queue, and goes on from its last checkpoint under another worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from dapo_cli.errors import BadInput, did_you_mean

LAUNCHERS = ("local", "ray", "slurm")


class Request(NamedTuple):
    """Workers that are asked for: how many, with what, for which queue."""

    location: str  # the database, as the user names it
    sweep: str | None = None  # its name; None: whatever is in the queue
    workers: int | None = None  # None: as many as the launcher finds room for
    jobs: int = 1  # runs that each trains at once
    cpus: float = 1.0  # for each run
    gpus: float = 0.0  # for each run
    address: str | None = None  # of a Ray cluster; None: RAY_ADDRESS
    slurm: tuple[str, ...] = ()  # options of sbatch, each NAME=VALUE
    modules: tuple[str, ...] = ()  # that environments may be imported from


class Command(NamedTuple):
    """What starts one worker: `python -P -m dapo_cli` with these arguments, and variables over its environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def command(request: Request) -> Command:
    """The command of each of these workers, the same in whatever folder it starts. StoreError for a bad location.

    A server is named by DAPO_DB, not by an option: its URL may hold a password, and everybody can read command lines.
    """
    from store.session import Database

    database = Database(request.location, writable=False)
    arguments, environment = ["worker"], {}
    if database.path is not None:
        arguments += ["--db", str(database.path.resolve())]
    else:
        url = database.url.update_query_dict({"files": str(database.files.resolve())})
        environment["DAPO_DB"] = url.render_as_string(hide_password=False)
    if request.sweep is not None:
        arguments += ["--sweep", request.sweep]
    arguments += [word for module in request.modules for word in ("--import", module)]
    return Command((*arguments, "--jobs", str(request.jobs)), environment)


def environment_with(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: this process's own, and over it these variables."""
    return {**os.environ, **environment}


def check(name: str, request: Request) -> None:
    """Raise BadInput for what can't be launched, as far as that shows before anything is queued."""
    if name not in LAUNCHERS:
        raise BadInput(f"no launcher '{name}': {did_you_mean(name, LAUNCHERS)}")
    for option, given, owner in (("--slurm", request.slurm, "slurm"), ("--address", request.address, "ray")):
        if given and name != owner:
            raise BadInput(f"{option} is for --launcher {owner}, not for {name}")
    _module(name).check(request)


def launch(name: str, request: Request, *, dry_run: bool = False) -> bool:
    """Start workers with the launcher of that name, and wait for them where they live no longer than this process.

    Returns whether they have ended. With `dry_run`, print what would be started. Raises BadInput as `check`,
    StoreError, Interrupted (the workers were stopped; their runs are back in the queue), RunFailed (a worker ended with
    an error).
    """
    check(name, request)
    _module(name).launch(request, dry_run=dry_run)
    return name != "slurm" and not dry_run


def _module(name: str) -> Any:
    return import_module(f"dapo_cli.sweeps.work.launchers.{name}")
