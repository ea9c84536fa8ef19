"""A process that trains, and whose database somebody takes away at a certain step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import harm

from dapo_cli.training import loop
from store.session import Database

LOG, INDEX = "-wal", "-shm"


def take(location: str, how: str) -> None:
    """Do to the files of this database what a user may do by mistake."""
    names = [Path(location + suffix) for suffix in ("", LOG, INDEX)]
    if how == "removed":
        for name in names:
            name.unlink()
    elif how == "removed with its files":
        for name in names:
            name.unlink()
        shutil.rmtree(location + ".files")
    elif how == "renamed":
        for name in names:
            name.rename(name.with_name("elsewhere" + name.name))
    elif how == "the database alone renamed":
        names[0].rename(names[0].with_name("elsewhere.db"))
    elif how == "replaced":
        Database.write(location + ".other").close()
        Path(location + ".other").rename(location)
    elif how == "the log removed":
        names[1].unlink()
    elif how == "the index removed":
        names[2].unlink()
    elif how == "its folder renamed":
        os.chdir(names[0].parent.parent)
        names[0].parent.rename(names[0].parent.with_name("moved"))
    else:
        raise ValueError(how)


def train(location: str, how: str, step: int, **options: Any) -> None:
    """Trains, as `harm.train` does, until somebody does this at that step; the environment is at work then."""
    original = loop.Loop.advance

    def stepping(self: Any) -> None:
        if self.progress.step == step:
            take(location, how)
        original(self)

    loop.Loop.advance = stepping  # type: ignore[method-assign]
    harm.train(location, **options)
