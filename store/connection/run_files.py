"""The files of runs are folders and plain files, in one folder beside the database, which may come from anywhere.

A symbolic link in there would lead a command that writes, copies or deletes to a stranger's files, and a FIFO would
stop it for good: both are refused, wherever files of a run are opened. The folder of all runs itself may be a link:
that is how its owner keeps it on another disk.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from store.errors import ForeignFile

_OF_A_RUN = {"lock", "checkpoints", "replay"}


def check(path: Path) -> Path:
    """The path, a run's folder or anything in it, which holds folders and plain files only, or is not there.

    ForeignFile, with the path of the first thing that is neither.
    """
    for _ in walk(path):
        pass
    return path


def walk(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder at `path` and below with the names of its files, as `os.walk` does. ForeignFile as `check` does.

    What vanishes meanwhile is left out; OSError for a folder that can't be read.
    """
    status = _status(path)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        _require_plain(path, status)
        return
    for folder, folders, names in os.walk(path, onerror=_unreadable):
        for name in folders:
            place = Path(folder, name)
            if (found := _status(place)) is not None and not stat.S_ISDIR(found.st_mode):
                raise _foreign(place, found)
        for name in names:
            place = Path(folder, name)
            if (found := _status(place)) is not None:
                _require_plain(place, found)
        yield Path(folder), names


def size(path: Path) -> int:
    """Bytes of the plain files at `path` and below; a link counts as nothing."""
    found = (_status(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)
    return sum(status.st_size for status in found if status is not None and stat.S_ISREG(status.st_mode))


def open_file(path: Path, flags: int) -> int:
    """The descriptor of a plain file, opened, or made, without following a link at its end. OSError, ForeignFile."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and (status := _status(path)) is not None:
            raise _foreign(path, status) from error
        raise
    try:
        _require_plain(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_deletable(folder: Path) -> None:
    """Raise ForeignFile unless this is a run's folder, or is not there.

    Where the folder of all runs is a link, an id in a database from elsewhere may be the name of anybody's folder: then
    there must be nothing in it but what runs write.
    """
    check(folder)
    if folder.parent.is_symlink() and folder.is_dir():
        others = sorted({path.name for path in folder.iterdir()} - _OF_A_RUN)
        if others:
            raise ForeignFile(f"{folder / others[0]} was written by no run, so the run stays: move it elsewhere first")


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no file can have that name
        return None


def _require_plain(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _foreign(path, status)


def _foreign(path: Path, status: os.stat_result) -> ForeignFile:
    if stat.S_ISLNK(status.st_mode):
        return ForeignFile(
            f"{path} is a symbolic link where dapo keeps files of its own, so it may lead to anybody's: "
            "see where it leads, then delete it, or put a copy of that in its place"
        )
    return ForeignFile(f"{path} is neither a file nor a folder, so no run wrote it: delete it")
