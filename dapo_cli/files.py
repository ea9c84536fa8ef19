"""Files and folders that a command makes: written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dapo_cli.errors import BadInput
from store.connection.durable import flush_all, flush_names


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """A path beside `place` to write a file or a folder to, which takes the name of `place` if the body succeeds.

    What was there is then replaced; if the body fails, it stays, and what was written is deleted. Raises OSError.
    """
    written = place.with_name(f".{place.name}.{os.getpid()}")
    older = written.with_name(f"{written.name}.old")
    try:
        yield written
        flush_all(written)  # else a power failure may leave an empty file under the new name
        if place.is_dir() and written.is_dir():  # only an empty folder gives way by itself
            place.rename(older)
        written.replace(place)
        flush_names(place.parent)
    finally:
        with suppress(OSError):
            if older.exists() and not place.exists():
                older.rename(place)
        for left in (written, older):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink(missing_ok=True)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write each content to its path, in place of what was there; raises BadInput if that is not possible.

    All contents are first written beside their places and then renamed, so that a full disk or a missing folder is
    known before the first file changes.
    """
    path = Path()
    try:
        with ExitStack() as stack:
            for place, (path, content) in {
                path.resolve(): (path, content) for path, content in contents.items()
            }.items():
                if place.exists() and not place.is_file():
                    raise BadInput(f"cannot write {path}: it is a folder or a device: choose another place with --out")
                stack.enter_context(aside(place)).write_bytes(content)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}: choose another place with --out") from error


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write to, which becomes `out`, a new or an empty folder, if the body succeeds. Raises BadInput.

    An OSError of the body is taken for one of writing.
    """
    place = out.absolute()
    try:
        if place.is_symlink() or (place.exists() and not (place.is_dir() and not any(place.iterdir()))):
            raise BadInput(f"{out} exists already: name a new or an empty folder")
        with aside(place) as folder:
            folder.mkdir()
            yield folder
    except OSError as error:
        raise BadInput(f"cannot write {out} ({error.strerror or error}): name another folder") from error
