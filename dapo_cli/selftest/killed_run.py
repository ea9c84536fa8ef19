"""`python -P -m dapo_cli.selftest.killed_run STEP TENSOR COMMAND…`: a dapo command in a process that kills itself.

From STEP on (0: never) it waits until an episode is open, lets a few milliseconds pass, and sends itself SIGKILL, in
the midst of whatever it is doing. Its last line on standard output says where it was. TENSOR (`-`: none) is a part of
the state, or `replay`, one bit of which is flipped after a resume: the self-test must notice.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from typing import Any

import torch

from algorithms.learner.base import named_leaves
from dapo_cli.training.loop import Loop

LONGEST_DELAY = 0.03  # seconds: a few updates


_OUTPUT = os.dup(1)  # standard output, also while what environments print goes elsewhere


def kill_from(step: int) -> None:
    """Arms every loop of this process."""
    original = Loop.advance
    armed = threading.Event()

    def stepping(self: Loop) -> None:
        if self.progress.step >= step and len(self._actions) > 1 and not armed.is_set():
            armed.set()
            threading.Timer(random.uniform(0, LONGEST_DELAY), _die, [self]).start()
        original(self)

    Loop.advance = stepping  # type: ignore[method-assign]


def _die(loop: Loop) -> None:
    os.write(_OUTPUT, f"killed {loop.progress.step} {len(loop._actions)}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def flip_after_resume(name: str) -> None:
    """Flips one bit of that tensor of 32-bit floats whenever a run of this process is restored."""
    original = Loop.restore

    def restoring(self: Loop, loaded: Any) -> bool:
        repeated = original(self, loaded)
        replay = self.learner.replay
        tensors = {**dict(named_leaves(self.learner.state)), "replay": replay._rows[: replay.total]}
        numbers = tensors[name].view(-1)
        # Of the largest number, and a bit of some weight: that of a tiny one can vanish in the next rounding.
        numbers.view(torch.int32)[numbers.abs().argmax()] ^= 1 << 16
        return repeated

    Loop.restore = restoring  # type: ignore[method-assign]


def main() -> int:
    """Reads the command line; the exit code is the command's."""
    step, tensor, *command = sys.argv[1:]
    if int(step):
        kill_from(int(step))
    if tensor != "-":
        flip_after_resume(tensor)
    from dapo_cli.app import main as dapo

    return dapo(command)


if __name__ == "__main__":
    sys.exit(main())
