"""Locks that the kernel releases when their process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.connection import run_files
from store.connection.durable import flush_names, make_folder
from store.connection.failures import translated_files
from store.errors import DatabaseLocked, ForeignFile, RunBusy

_held: set[int] = set()  # file descriptors of this process's locks


def _close_in_child() -> None:
    # A forked child shares the lock and would keep it alive after the death of the process that trains.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


class RunLock:
    """Held by the process that trains a run, on `<run folder>/lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, making its folder if needed; RunBusy if another process has it.

        ForeignFile if a link is in the folder: who holds the lock may write and delete there.
        """
        with translated_files(f"the folder {self.path.parent}"):
            run_files.check(self.path.parent)
            make_folder(self.path.parent)
            new = not self.path.exists()
            descriptor = run_files.open_file(self.path, os.O_RDWR | os.O_CREAT)
            if new:  # after a power failure, a lock that nobody holds tells that the run is dead
                flush_names(self.path.parent)
        # `is_held` of another process holds a shared lock for some microseconds: one refusal proves nothing.
        if not _try_lock(descriptor, seconds=0.2):
            os.close(descriptor)
            raise RunBusy(f"run {self.path.parent.name} is being trained by another process: stop that one first")
        self._descriptor = descriptor
        _held.add(descriptor)

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._descriptor is not None:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a living process holds the lock. Changes nothing on disk."""
        if path.parent.is_symlink():  # no run's folder
            return False
        try:
            descriptor = run_files.open_file(path, os.O_RDONLY)
        except (OSError, ForeignFile):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


@contextmanager
def exclusive(path: Path, location: str, seconds: float) -> Iterator[None]:
    """One process at a time in the body. Waits up to `seconds`, then raises DatabaseLocked about `location`."""
    with translated_files(f"beside {location}"):
        make_folder(path.parent)
        descriptor = run_files.open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        if not _try_lock(descriptor, seconds):
            raise DatabaseLocked(
                f"results database {location}: another process creates, upgrades or merges into it: try again later"
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
