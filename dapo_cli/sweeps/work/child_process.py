"""A process of a worker, which trains one claimed run.

`python -P -m dapo_cli.sweeps.work.child_process RUN WORKER [MODULE…]`.
A process of its own, so that a crash, a kill for want of memory or a hang of one run takes no other along. The
database's location comes in DAPO_DB, as a URL may hold a password. Standard input stays open as long as the worker
lives: at its end the run stops with a checkpoint, rather than go on unwatched.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from dapo_cli.errors import BadInput, Interrupted, RunFailed
from dapo_cli.terminal import console
from store.errors import RunBusy, StoreError

REFUSED = 2
"""Exit code: the run can't be trained as it is; another attempt would say the same."""
STORE_TROUBLE = 75
"""Exit code: the database or the disk failed, not the run."""
BUSY = 76
"""Exit code: another process has the run's lock."""
GRACE = 60.0
"""Seconds that a run has for its checkpoint once its worker is gone."""


def command(run_id: str, worker_id: str, modules: Sequence[str]) -> list[str]:
    """The command line of such a process."""
    return [sys.executable, "-P", "-m", "dapo_cli.sweeps.work.child_process", run_id, worker_id, *modules]


def main(arguments: Sequence[str]) -> int:
    """Train the run to its end, a signal, or an error, which is one line on standard error; returns the exit code."""
    run_id, worker_id, *modules = arguments
    console.set_verbosity(-1)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    try:
        from dapo_cli.training import session

        session.claimed(os.environ["DAPO_DB"], run_id, worker_id, modules)
    except Interrupted as error:
        return error.exit_code
    except RunFailed:  # and why is on record
        return RunFailed.exit_code
    except BadInput as error:
        console.error(str(error))
        return REFUSED
    except RunBusy as error:
        console.error(str(error))
        return BUSY
    except StoreError as error:
        console.error(str(error))
        return STORE_TROUBLE
    return 0


def _end_with_worker() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
