"""What can go wrong between a run and its record. Every message is one line that names the remedy.

StoreError
├── NotADatabase       the file is something else
├── OlderSchema        an older dapo made it, and a reader may not change it
├── NewerSchema        a newer dapo made it
├── DatabaseLocked     another process held it for too long
├── WrongValue         a row holds what no dapo writes
├── Disconnected       its server can't be reached, or was lost in the middle
├── Vanished           its file was removed, renamed or replaced while it was open
├── CannotWrite        disk full, no permission, no such folder
├── ForeignFile        a link, or what no run writes, among the files of runs
├── RunNotFound        no run of that id
├── AmbiguousRun       several runs whose ids start like that
├── SelectionNotFound  no frozen selection of that name
├── SweepNotFound      no sweep of that name
├── RunBusy            the process that trains it is alive
└── WorkerEnded        this worker was declared dead by another
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the store. `str(error)` is one line for the user."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NotADatabase(StoreError):
    """The file exists, but it is no results database."""


class OlderSchema(StoreError):
    """The database was made by an older dapo and is being opened for reading only."""


class NewerSchema(StoreError):
    """The database was made by a newer dapo."""


class DatabaseLocked(StoreError):
    """Another process held the database beyond the busy timeout."""


class WrongValue(StoreError):
    """A row holds a value of another type, of an unknown kind or out of range, and what reads it failed."""


class Disconnected(StoreError):
    """The database's server can't be reached, or the connection broke; what was being committed may be or not."""


class Vanished(StoreError):
    """The database's file, or its log, was removed, renamed or replaced under a process that writes to it."""


class CannotWrite(StoreError):
    """The disk is full, the place is not writable, or the folder is missing."""


class ForeignFile(StoreError):
    """Among the files of runs is a symbolic link, or something else that no run wrote."""


class RunNotFound(StoreError):
    """No run has that id."""


class AmbiguousRun(StoreError):
    """More than one run's id starts with that prefix."""


class SelectionNotFound(StoreError):
    """No frozen selection has that name."""


class SweepNotFound(StoreError):
    """No sweep has that name."""


class RunBusy(StoreError):
    """A living process is training this run."""


class WorkerEnded(StoreError):
    """This worker was silent for so long that another one declared it dead and gave its runs to the queue."""
