"""Workers as the elements of a Slurm job array, by submitit: requeued when they are preempted or out of time.

https://github.com/facebookincubator/submitit/blob/main/docs/checkpointing.md: on the signal that Slurm sends before it
ends a job, submitit calls `checkpoint` of what it runs, puts the job back into Slurm's queue, and exits. submitit keeps
what it runs as a pickle in the folder of the logs, which is therefore closed to others; it holds a command line only.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.work import launchers
from dapo_cli.sweeps.work.launchers import Request
from dapo_cli.terminal import console
from store.session import Database

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

DEFAULT_MINUTES = 24 * 60  # of a job; then it is requeued
STOPPING = 120  # seconds before the end of a job at which Slurm tells its workers
_GRACE = 90.0  # seconds of these for a worker; the rest is for the requeue
_REQUEUES = 1000  # by submitit, at the end of a job's time: a worker ends by itself when the queue is empty
_OURS = ("array", "cpus-per-task", "error", "gpus-per-node", "open-mode", "output", "signal")
_PYTHON = f"{shlex.quote(sys.executable)} -P"  # a folder `store` where the job starts is not ours
_STOPPED = 128 + signal.SIGTERM


class Worker:
    """A worker as submitit runs it on a node: started by a call, stopped by `checkpoint`, which has it started again.

    It holds strings and a number only, since submitit pickles it.
    """

    def __init__(self, arguments: Iterable[str], environment: Mapping[str, str]) -> None:
        self.arguments = list(arguments)
        self.environment = dict(environment)
        self.pid = 0  # while it runs

    def __call__(self) -> int:
        """One worker, to its end; returns its exit code 0. RuntimeError if it ended otherwise."""
        # Slurm signals every process of the job, and the worker knows SIGTERM only: that comes from `checkpoint`.
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "dapo_cli", *self.arguments],
            launchers.environment_with(self.environment),
            setsigmask=[signal.SIGUSR1, signal.SIGUSR2],
        )
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        if code in (_STOPPED, -signal.SIGTERM):
            # Slurm's own SIGTERM: the job is cancelled or preempted, and one that ended now would not be requeued.
            time.sleep(10 * STOPPING)
        if code != 0:
            raise RuntimeError(f"the worker ended with exit code {code}: what it said is in the log beside")
        return code

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit's signal handler: the worker stops, its runs go back to the queue, and it starts again."""
        from submitit.helpers import DelayedSubmission

        if self.pid:
            _stop(self.pid)
        return DelayedSubmission(self)


def _stop(pid: int) -> None:
    """Ask the worker to stop and wait; by system calls only, because the main thread stands in waitpid already."""
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except (ChildProcessError, ProcessLookupError):
        return


class Submission(NamedTuple):
    """An array of workers before it is submitted."""

    worker: Worker
    workers: int
    folder: Path  # of logs; must be shared with the nodes
    parameters: dict[str, Any]  # of submitit's SlurmExecutor.update_parameters


def plan(request: Request) -> Submission:
    """What to submit. Raises BadInput for a bad option of sbatch."""
    if request.workers is None:
        raise BadInput("--launcher slurm needs --workers N: the size of the job array")
    command = launchers.command(request)
    database = Database(request.location, writable=False)
    folder = database.files.with_name(database.files.name.removesuffix(".files") + ".slurm")
    parameters: dict[str, Any] = {
        "job_name": f"dapo-{request.sweep or 'worker'}",
        "time": DEFAULT_MINUTES,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": max(1, round(request.cpus * request.jobs)),
        "signal_delay_s": STOPPING,
        "wckey": None,
        "additional_parameters": {"requeue": True},
        "array_parallelism": request.workers,
    }
    if request.gpus:
        parameters["gpus_per_node"] = max(1, round(request.gpus * request.jobs))
    typed = dict(_option(text) for text in request.slurm)
    if "time" in typed:
        parameters["time"] = _minutes(typed.pop("time"))
    if "job-name" in typed:
        parameters["job_name"] = typed.pop("job-name")
    parameters["additional_parameters"] |= typed
    return Submission(Worker(command.arguments, command.environment), request.workers, folder, parameters)


def check(request: Request) -> None:
    """Raise BadInput for a bad option of sbatch, and where submitit is not installed."""
    if find_spec("submitit") is None:
        raise BadInput("--launcher slurm needs submitit: pip install 'dapo-cli[slurm]'")
    plan(request)


def launch(request: Request, *, dry_run: bool = False) -> None:
    """Submit the workers as one job array, and return; Slurm does the rest.

    With `dry_run`, prints the script for sbatch instead. Raises BadInput, also where there is no Slurm.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    submission = plan(request)
    if dry_run:
        console.write(script(submission))
        return
    database = Database(request.location, writable=False)
    if database.path is not None and submission.workers > 1:
        console.warning(
            f"{database.location} is a file: unless every worker runs on one and the same machine, "
            "name a PostgreSQL database with --db, or train shards (docs/cluster.md)"
        )
    if submitit.SlurmExecutor.affinity() < 0:
        raise BadInput("there is no Slurm here (no srun): submit from a login node; --dry-run prints the script")
    try:
        executor = submitit.SlurmExecutor(_closed(submission.folder), max_num_timeout=_REQUEUES, python=_PYTHON)
        jobs = submit(executor, submission)
    except (FailedJobError, FailedSubmissionError) as error:
        raise BadInput(f"sbatch refused: {' '.join(str(error).split())[:300]}") from error
    except OSError as error:
        raise BadInput(f"cannot submit from {submission.folder}: {error.strerror or error}") from error
    first = str(jobs[0].job_id).partition("_")[0]
    console.write(f"job {first}: {submission.workers} workers; their logs are in {submission.folder}")
    console.info(f"watch it with: squeue -j {first}, dapo sweep status --watch; end it with: scancel {first}")


def submit(executor: Any, submission: Submission) -> list[Any]:
    """The jobs of these workers, submitted to an executor of submitit's as one array."""
    executor.update_parameters(**submission.parameters)
    with executor.batch():
        return [executor.submit(submission.worker) for _ in range(submission.workers)]


def script(submission: Submission) -> str:
    """The script that sbatch would get."""
    from submitit.slurm.slurm import SlurmExecutor

    class Printer(SlurmExecutor):
        @classmethod
        def affinity(cls) -> int:
            return 1  # a script can be written without a Slurm

    printer = Printer(submission.folder, python=_PYTHON)
    printer.update_parameters(**submission.parameters)
    if submission.workers > 1:
        printer.parameters["map_count"] = submission.workers  # as the executor does for a batch
    # The two methods that make the text are those that submitit's plugins implement.
    return str(printer._make_submission_file_text(printer._submitit_command_str, ""))


def _closed(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o022:
        raise BadInput(f"others can write to {folder}, where the job's command is kept: chmod go-w it, or remove it")
    return folder


def _option(text: str) -> tuple[str, str | bool]:
    name, equals, value = text.partition("=")
    name = name.strip().removeprefix("--").replace("_", "-")
    if not name or not text.isprintable() or not name.replace("-", "").isalnum():
        raise BadInput(f"--slurm takes an option of sbatch, such as --slurm partition=cpu, not '{text}'")
    if name in _OURS:
        raise BadInput(f"--slurm {name}=… is set by dapo: use --workers, --jobs, --cpus and --gpus")
    return name, value.strip() if equals else True


def _minutes(value: str | bool) -> int:
    """Slurm's times: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes[:seconds]."""
    try:
        days, dash, clock = str(value).rpartition("-")
        parts = [int(part) for part in clock.split(":")]
        if dash:
            hours, minutes = (*parts, 0)[:2]
        elif len(parts) == 3:
            hours, minutes = parts[:2]
        else:
            hours, minutes = 0, parts[0]
        total = (int(days or 0) * 24 + hours) * 60 + minutes
        if len(parts) > 3 or min(parts) < 0 or total * 60 <= 2 * STOPPING:
            raise ValueError
    except ValueError as error:
        raise BadInput(f"--slurm time={value}: write minutes (more than {2 * STOPPING // 60}) or 1-12:00:00") from error
    return total
