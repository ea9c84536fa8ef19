"""What stands in for a run's process where only a worker's conduct is tested: does what the run's environment says.

It imports nothing of ours, so that it starts at once.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from datetime import UTC, datetime


def main(run_id: str) -> int:
    connection = sqlite3.connect(os.environ["DAPO_DB"], timeout=30, isolation_level=None)

    def become(status: str, step: int) -> None:
        row = (status, step, datetime.now(UTC).isoformat().replace("+00:00", "Z"), run_id)
        connection.execute("UPDATE run SET status = ?, step = ?, heartbeat_at = ? WHERE id = ?", row)

    def stop(*_: object) -> None:
        become("interrupted", 5)
        sys.exit(143)

    ((what,),) = connection.execute("SELECT env FROM run WHERE id = ?", (run_id,))
    if what == "refused":
        return complain("dapo: run x has a setting 'y' that sac lacks: use the dapo that made it", 2)
    if what == "locked":
        return complain("dapo: the disk is full", 75)
    if what == "held":
        return complain("dapo: run x is being trained by another process: stop that one first", 76)
    if what == "gpu":
        connection.execute("UPDATE run SET note = ? WHERE id = ?", (os.environ["CUDA_VISIBLE_DEVICES"], run_id))
    if what == "long":
        signal.signal(signal.SIGTERM, stop)
    if what == "hanging":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    become("running", 1)
    if what == "crashing":
        return complain("Traceback\nValueError: no such joint", 1)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("long", "hanging"):
        time.sleep(600)
    if what in ("gpu", "brief"):
        time.sleep(0.5)  # beside the others
    become("diverged" if what == "diverged" else "completed", 9)
    return 0


def complain(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
