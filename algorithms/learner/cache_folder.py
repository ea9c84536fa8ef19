"""Where compiled code is kept: it is run as it is read, so that nobody else may be able to write there.

By itself PyTorch's compiler takes a folder in the temporary directory whose name anyone can foretell, and prepare.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

WITHOUT = "or do without the compiler: --compile off"
BEING_WRITTEN = 600.0  # seconds in which another process may still be writing a library
_CHOSEN = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")  # the user's own choice, where set


class CacheError(Exception):
    """A cache from which code must not be loaded. `str(error)` is one line that names the folder and the remedy."""


def prepare() -> None:
    """Give PyTorch's compiler a folder that only this user can write to, before it looks for one. CacheError."""
    if _foretold(os.environ.get("TORCHINDUCTOR_CACHE_DIR", "")):
        del os.environ["TORCHINDUCTOR_CACHE_DIR"]
    for name in _CHOSEN:
        if chosen := os.environ.get(name):
            _require_own(Path(chosen).absolute(), f"{name}={chosen}", f"name another with {name}")
    place = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or str(own("torch"))
    _drop_cut_off(Path(place))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = place
    # Precompiled headers are kept in the temporary directory, whatever that variable says.
    from torch._inductor.runtime import cache_dir_utils, runtime_utils

    modules: tuple[Any, ...] = (cache_dir_utils, runtime_utils)
    for module in modules:
        module.default_cache_dir = lambda: place
    codecache: Any = sys.modules.get("torch._inductor.codecache")
    if codecache is not None:
        codecache._HEADER_DIR = f"{place}/precompiled_headers"
        codecache._HEADER_LOCK_DIR = f"{place}/precompiled_headers/locks"


def own(name: str) -> Path:
    """A folder of that name in this user's cache, made where it is missing, which nobody else can enter. CacheError.

    Where none can be made or written to (no home folder, a read-only disk), it is a temporary one, under a name that
    nobody can foretell, for this process alone.
    """
    home = _home()
    if home is not None:
        with suppress(OSError):
            for place in (home, home / name):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                _require_own(place, str(place), "name another with XDG_CACHE_HOME")
                place.chmod(0o700)
            with tempfile.TemporaryFile(dir=home / name):
                return home / name
    place = _temporary() / name
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _drop_cut_off(place: Path) -> None:
    """Delete libraries that are shorter than their headers say: to load one kills the process. They are made anew."""
    for library in place.glob("*/*.so"):
        with suppress(OSError):
            status = library.stat()
            if time.time() - status.st_mtime < BEING_WRITTEN:
                continue
            with library.open("rb") as file:
                header = file.read(64)
            start, (size, count) = header[40:48], (header[58:60], header[60:62])  # of the table at the end of the file
            end = int.from_bytes(start, "little") + int.from_bytes(size, "little") * int.from_bytes(count, "little")
            if len(header) < 64 or status.st_size < end:
                library.unlink()


def _foretold(place: str) -> bool:
    """Whether it is PyTorch's own choice, which it writes into the variable when it is loaded before us."""
    return Path(place).name.startswith("torchinductor_") and str(Path(place).parent) == tempfile.gettempdir()


def _home() -> Path | None:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen).absolute() / "dapo"
    try:
        return Path.home().absolute() / ".cache" / "dapo"
    except RuntimeError:  # a user without a home
        return None


def _require_own(place: Path, called: str, otherwise: str) -> None:
    """Raise CacheError unless the folder is this user's, a link to it too, and nobody else may write to it."""
    if not place.exists() and not place.is_symlink():
        return
    remedy = f"delete it, {otherwise}, {WITHOUT}"
    status = place.stat()
    if {status.st_uid, place.lstat().st_uid} != {os.geteuid()}:
        raise CacheError(f"{called} belongs to another user, and code that is kept there is run: {remedy}")
    if not stat.S_ISDIR(status.st_mode):
        raise CacheError(f"{called} is no folder to keep compiled code in: {remedy}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(f"{called} can be written to by others, and code that is kept there is run: {remedy}")


@cache
def _temporary() -> Path:
    try:
        place = Path(tempfile.mkdtemp(prefix="dapo-cache-"))
    except OSError as error:
        raise CacheError(
            f"no folder to keep compiled code in ({error.strerror}): name one with XDG_CACHE_HOME, {WITHOUT}"
        ) from error
    process = os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # and no child that was forked
            shutil.rmtree(place, ignore_errors=True)

    atexit.register(remove)
    return place
