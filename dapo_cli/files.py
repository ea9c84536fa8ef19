"""Files that a command makes: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from dapo_cli.errors import BadInput


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write each content to its path, in place of what was there; raises BadInput if that is not possible.

    All contents are first written beside their places and then renamed, so that a full disk or a missing folder is
    known before the first file changes.
    """
    asides: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for place, (path, content) in {path.resolve(): (path, content) for path, content in contents.items()}.items():
            if place.exists() and not place.is_file():
                raise BadInput(f"cannot write {path}: it is a folder or a device: choose another place with --out")
            aside = place.with_name(f".{place.name}.{os.getpid()}")
            asides.append((aside, place))
            aside.write_bytes(content)
        for aside, path in asides:
            aside.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}: choose another place with --out") from error
    finally:
        for aside, _ in asides:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
