"""Brings files and their names to the disk, so that a power failure does not take them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def flush(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_names(folder: Path) -> None:
    """The same for a folder's list of names, where the user may read it: some folders may only be written to."""
    with suppress(PermissionError):
        flush(folder)


def flush_all(place: Path) -> None:
    """The same for a file, or for a folder with all that is in it."""
    if place.is_dir():
        for path in place.iterdir():
            flush_all(path)
    flush(place)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing, with names that last. OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        flush_names(place.parent)
