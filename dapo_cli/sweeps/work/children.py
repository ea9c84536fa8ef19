"""The processes that train a worker's runs: started, watched, stopped, and judged by how they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from dapo_cli.sweeps.work import child_process
from store.queue import run_queue
from store.session import Database

GRACE = 60.0
"""Seconds that a run has to stop in good order before it is killed."""
START = 600.0
"""Seconds that a run has to begin: a slow disk may be read, but no update compiled."""
LONGEST_REASON = 300  # characters
_TAIL = 4000  # bytes of standard error that are read


@dataclass
class Child:
    """A process that trains a run."""

    run_id: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]  # its standard error
    since: int  # the step of the checkpoint that it began with
    gpu: str | None = None  # the one that it may use, where its worker has several
    at: tuple[str, int] = ("queued", 0)  # its status and step when last seen
    moved: float = field(default_factory=time.monotonic)  # when those last changed
    stopping: str | None = None  # why it was told to stop
    kill_at: float = 0.0
    stalled: bool = False

    def stop(self, why: str) -> None:
        """Ask it to write a checkpoint and end, once."""
        if self.stopping is None:
            self.stopping, self.kill_at = why, time.monotonic() + GRACE
            self.process.terminate()

    def watch(self, at: tuple[str, int], stall: float) -> None:
        """Note the run's status and step; stop it if nothing has moved for `stall` seconds since it began."""
        now = time.monotonic()
        if at != self.at:
            self.at, self.moved = at, now
        limit = stall if at[0] == "running" else max(stall, START)
        if now - self.moved > limit and self.stopping is None:
            self.stalled = True
            self.stop(f"no step in {limit:.0f} s")

    def enforce(self) -> None:
        """Kill it, with all that it started, if it was told to stop too long ago."""
        if self.stopping is not None and time.monotonic() > self.kill_at:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Release what it held here."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        self.errors.close()


def start(
    db: Database, location: str, run_id: str, worker_id: str, modules: Sequence[str], others: Sequence[Child]
) -> Child:
    """Start the process that trains a claimed run, on the GPU that the fewest of the others use."""
    since = run_queue.checkpoint_step(db, run_id)
    env = {**os.environ, "DAPO_DB": location}
    gpu = None
    if "," in (allotted := os.environ.get("CUDA_VISIBLE_DEVICES", "")):  # as Slurm and Ray say it
        gpu = min(allotted.split(","), key=[other.gpu for other in others].count)
        env["CUDA_VISIBLE_DEVICES"] = gpu
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the child)
    process = subprocess.Popen(
        child_process.command(run_id, worker_id, modules),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=env,
        start_new_session=True,  # Ctrl-C is the worker's to answer
    )
    return Child(run_id, process, errors, since, gpu)


def finish(db: Database, worker_id: str, ended: Child) -> tuple[str, str]:
    """Settle in the queue what became of a run whose process has ended: (its status now, the reason or "").

    The status is "completed", "diverged", "queued" (to go on later), "cancelled", "failed", or "gone" where another
    worker has it or it was deleted. StoreError, and then it can be called again.
    """
    run = run_queue.progress(db, worker_id, [ended.run_id]).get(ended.run_id)
    code = ended.process.returncode
    if run is None:
        return "gone", ""
    if run["status"] in ("completed", "diverged"):
        return run["status"], run["reason"] or ""
    if not ended.stalled:
        asked = any(code in (128 + signum, -signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        if ended.stopping is not None or asked:
            why = ended.stopping or "stopped by a signal"
            return run_queue.release(db, ended.run_id, worker_id, why) or "gone", why
        if code in (child_process.STORE_TROUBLE, child_process.BUSY):
            why = last_line(ended)[:LONGEST_REASON] or "the database failed"
            return run_queue.release(db, ended.run_id, worker_id, why) or "gone", why
    reason = _reason(ended, run)
    refused = code == child_process.REFUSED and run["status"] == "queued"
    status = run_queue.crashed(db, ended.run_id, worker_id, reason, since=ended.since, final=refused)
    return status or "gone", reason


def _reason(ended: Child, run: Mapping[str, Any]) -> str:
    if ended.stalled:
        return f"hung: {ended.stopping}"
    if run["status"] == "failed" and run["reason"]:
        return str(run["reason"])
    code = ended.process.returncode
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does when memory runs out"
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return last_line(ended)[:LONGEST_REASON] or f"its process ended with exit code {code}"


def last_line(ended: Child) -> str:
    """What an ended process said last on standard error, such as why it ended; "" if it said nothing."""
    size = ended.errors.seek(0, os.SEEK_END)
    ended.errors.seek(max(0, size - _TAIL))
    lines = ended.errors.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("dapo: ")
