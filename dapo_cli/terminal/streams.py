"""The standard streams: what code that is not ours prints is no data, and a stream that has gone ends nothing."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

from dapo_cli.terminal import console

GONE = (OSError, ValueError)
"""What writing to a stream raises whose reader has left, or that was closed."""


class _Tolerant:
    """A stream to which writing always succeeds, whether or not somebody still reads it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(*GONE):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(*GONE):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def prints_aside() -> Iterator[None]:
    """While entered, what is printed on standard output goes to standard error, or nowhere with --quiet.

    Also what libraries print below Python, and what the processes print that they start. May be nested.
    """
    with ExitStack() as stack:
        target = sys.stderr
        if console.verbosity() < 0:
            target = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        _flush()
        kept = os.dup(1)
        os.dup2(target.fileno() if target is not sys.stderr else 2, 1)
        stack.enter_context(redirect_stderr(_Tolerant(sys.stderr)))
        stack.enter_context(redirect_stdout(_Tolerant(target)))
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """Empty the buffers on the way to descriptor 1, Python's and C's."""
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(*GONE, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).fflush(None)


def open_closed_ones() -> None:
    """Opens /dev/null in place of each standard stream that was closed (`>&-`).

    Otherwise the next file that is opened, such as the database, would get its number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115
