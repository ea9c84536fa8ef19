"""Workers on an existing Ray cluster: each is a task, which Ray starts again elsewhere when its node is lost.

https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html: a task whose node or process dies is retried; what
it raises is not. Ray is handed strings only: the command line of a worker.
"""

from __future__ import annotations

import io
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

from dapo_cli.errors import BadInput, Interrupted, RunFailed
from dapo_cli.sweeps.work import launchers
from dapo_cli.sweeps.work.launchers import Command, Request
from dapo_cli.terminal import console
from dapo_cli.training.signals import Stop
from store.session import Database

PATIENCE = 5.0  # seconds for an address to answer; Ray itself tries for minutes
_POLL = 1.0  # seconds
_STOPPING = 120.0  # seconds for workers to write their checkpoints
_TAIL = 2000  # bytes of what a worker said last


def check(request: Request) -> None:
    """Raise BadInput where no cluster is named, or Ray is not installed."""
    if not _address(request):
        raise BadInput(
            "no Ray cluster: name one with --address or RAY_ADDRESS, such as --address auto on one of its nodes "
            "(ray start --head makes one)"
        )
    if find_spec("ray") is None:
        raise BadInput("--launcher ray needs Ray: pip install 'dapo-cli[ray]'")


def launch(request: Request, *, dry_run: bool = False) -> None:
    """Start the workers as tasks of the cluster and wait until the queue has nothing left for them.

    As many as the cluster has room for, unless the request says how many. Raises BadInput where there is no cluster or
    no node can hold a worker, Interrupted once all have stopped after Ctrl-C or SIGTERM, RunFailed if one ended with an
    error.
    """
    command = launchers.command(request)
    address = _address(request)
    if dry_run:
        each = f"{request.cpus * request.jobs:g} CPUs and {request.gpus * request.jobs:g} GPUs"
        size = "as many workers as there is room for" if request.workers is None else f"{request.workers} workers"
        console.write(f"on {address}: {size}, each with {each}")
        console.write(shlex.join(["python", "-P", "-m", "dapo_cli", *command.arguments]))
        return
    # Read when Ray is imported: no reports about its use.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    with redirect_stdout(_Aside()):
        _connect(ray, address)
        _work(ray, request, command)


def _work(ray: Any, request: Request, command: Command) -> None:
    try:
        count = _room(ray, request)
        _refuse_file_on_many_hosts(ray, request)
        task = ray.remote(work).options(
            name=f"dapo worker {request.sweep or ''}".strip(),
            num_cpus=request.cpus * request.jobs,
            num_gpus=request.gpus * request.jobs,
            max_retries=-1,  # a lost node costs no attempt: the queue counts the crashes of each run
            retry_exceptions=False,
        )
        with Stop() as stop:  # after connecting, which sets a handler that ends the process at once
            _wait(ray, [task.remote(list(command.arguments), dict(command.environment)) for _ in range(count)], stop)
    finally:
        ray.shutdown()


def work(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """On a node: one worker, to its end. Returns its exit code, the node's name, and what it said last.

    Ray cancels a task by KeyboardInterrupt: the worker is then asked to stop, and waited for.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dapo_cli", *arguments],
            env=launchers.environment_with(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        while True:
            try:
                code = process.wait(_POLL)  # not for ever: Ray's interrupt is no signal, and ends no system call
                break
            except subprocess.TimeoutExpired:
                continue
            except KeyboardInterrupt:
                process.terminate()
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return code, socket.gethostname(), lines[-1] if lines else ""


class _Aside(io.TextIOBase):
    """Standard output while Ray is in this process: what it prints about its nodes is for those who ask for details."""

    def write(self, text: str) -> int:
        console.detail(text)
        return len(text)


def _address(request: Request) -> str:
    return request.address or os.environ.get("RAY_ADDRESS", "")


def _connect(ray: Any, address: str) -> None:
    refusal = f"no Ray cluster answers at {address}: name another with --address, or start one: ray start --head"
    host, colon, port = address.rpartition(":")
    try:
        if colon and "//" not in address:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None)
    except (OSError, ValueError, OverflowError) as error:
        raise BadInput(refusal) from error
    except (RuntimeError, ImportError) as error:
        raise BadInput(f"{refusal} ({' '.join(str(error).split())[:200]})") from error


def _room(ray: Any, request: Request) -> int:
    """How many workers to start; BadInput where no node can ever hold one and no number says to wait for it."""
    cpus, gpus = request.cpus * request.jobs, request.gpus * request.jobs
    room = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            places = [has.get(name, 0.0) // need for name, need in (("CPU", cpus), ("GPU", gpus)) if need > 0]
            room += int(min(places, default=1))
    if room == 0:
        text = f"no node of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs, which each worker needs"
        if request.workers is None:
            raise BadInput(f"{text}: lower --cpus, --gpus or --jobs, or say --workers N to wait for such a node")
        console.warning(f"{text}: waiting for one")
    return request.workers or room


def _nodes(ray: Any) -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _refuse_file_on_many_hosts(ray: Any, request: Request) -> None:
    database = Database(request.location, writable=False)
    hosts = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if database.path is not None and len(hosts) > 1:
        raise BadInput(
            f"{database.location} is a file, which workers on {len(hosts)} machines can't write to at once: "
            "name a PostgreSQL database with --db, or train shards (docs/cluster.md)"
        )


def _wait(ray: Any, tasks: list[Any], stop: Stop) -> None:
    """Until every task has ended; a signal cancels them, so that their workers stop."""
    count, left, nodes = len(tasks), list(tasks), _nodes(ray)
    console.info(f"{count} workers handed to Ray")
    while left and stop.requested is None:
        _, left = ray.wait(left, num_returns=len(left), timeout=_POLL)
        before, nodes = nodes, _nodes(ray)
        for lost in before - nodes:
            console.warning(f"a node of the Ray cluster was lost ({lost[:12]}): its workers start again elsewhere")
    if stop.requested is not None:
        for task in left:
            ray.cancel(task, force=False)
        if left:
            _, left = ray.wait(left, num_returns=len(left), timeout=_STOPPING)
        for task in left:
            ray.cancel(task, force=True)
        if left:
            text = f"interrupted: {len(left)} workers did not stop and were killed; their runs go on from checkpoints"
            raise Interrupted(text, stop.requested)
        raise Interrupted("interrupted: the workers have stopped, and their runs are back in the queue", stop.requested)
    failed = 0
    for task in tasks:
        try:
            code, host, said = ray.get(task)
        except ray.exceptions.RayError as error:
            code, host, said = 1, "Ray", " ".join(str(error).split())[:300]
        if code != 0:
            failed += 1
            console.warning(f"a worker on {host} ended with exit code {code}: {said}")
    if failed:
        raise RunFailed(f"{failed} of {count} workers ended with an error: see the lines above")
