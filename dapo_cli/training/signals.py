"""Ctrl-C, SIGTERM and SIGHUP as a request that the loop answers between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Stop:
    """While entered, the first signal sets `requested`; a second Ctrl-C ends the process at once.

    A SIGHUP that is ignored, as under nohup, stays ignored.
    """

    def __init__(self) -> None:
        self.requested: int | None = None  # the signal's number
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.requested is None:
            self.requested = signum
        elif signum != signal.SIGHUP:  # which shell and kernel both send when a terminal is closed
            raise KeyboardInterrupt
