"""Workers on this machine, as processes of their own: a signal that stops this one stops them."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time

from dapo_cli.errors import Interrupted, RunFailed
from dapo_cli.sweeps.work import launchers
from dapo_cli.sweeps.work.launchers import Request
from dapo_cli.terminal import console
from dapo_cli.training.signals import Stop

_POLL = 0.2  # seconds


def check(request: Request) -> None:
    """Nothing can be wrong with this machine."""


def launch(request: Request, *, dry_run: bool = False) -> None:
    """Start the workers (default: one) and wait until the queue has nothing left for them.

    Raises Interrupted once all have stopped after Ctrl-C, SIGTERM or SIGHUP, RunFailed if one ended with an error.
    """
    command = launchers.command(request)
    arguments = [sys.executable, "-P", "-m", "dapo_cli", *command.arguments]
    count = request.workers or 1
    if dry_run:
        for _ in range(count):
            console.write(shlex.join(arguments))
        return
    environment = launchers.environment_with(command.environment)
    with Stop() as stop:
        # A group of their own: Ctrl-C in the terminal reaches them once, from here.
        workers = [subprocess.Popen(arguments, env=environment, process_group=0) for _ in range(count)]
        told = False
        while any(worker.poll() is None for worker in workers):
            if stop.requested is not None and not told:
                for worker in workers:
                    worker.terminate()
                told = True
            time.sleep(_POLL)
    if stop.requested is not None:
        raise Interrupted("interrupted: the workers have stopped, and their runs are back in the queue", stop.requested)
    failed = sum(worker.returncode != 0 for worker in workers)
    if failed:
        raise RunFailed(f"{failed} of {count} workers ended with an error: see the lines above")
