"""The files of merged runs: hard links where the disk can, else copies, each under its name once it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from store.connection import run_files
from store.connection.durable import flush, flush_names
from store.records import runs
from store.session import Database

_ASIDE = ".merging"


def place(source: Path, target: Path) -> list[Path]:
    """Bring a run's files, which never change once they are there, into its folder; the folder, if that is new.

    Left out: its lock, and what is only half written. OSError, ForeignFile; a folder of ours is removed again then.
    """
    for folder in (source, target):
        run_files.check(folder)
    if not source.is_dir():
        return []
    made = [] if target.exists() else [target]
    try:
        for folder, names in run_files.walk(source):
            there = target / folder.relative_to(source)
            there.mkdir(parents=True, exist_ok=True)
            for name in names:
                if name != "lock" and not name.endswith((".partial", _ASIDE)):
                    _link_or_copy(folder / name, there / name)
        for folder, _ in run_files.walk(target):
            flush_names(folder)
        flush_names(target.parent)
    except BaseException:
        for folder_ in made:
            shutil.rmtree(folder_, ignore_errors=True)
        raise
    return made


def forget_replaced(db: Database, run_ids: list[str]) -> None:
    """Delete the checkpoints of runs that are no longer on record, because a merge brought later ones."""
    for run_id in run_ids:
        kept = {Path(row["path"]).name for row in runs.checkpoints(db, run_id)}
        for folder in (db.run_folder(run_id) / "checkpoints").glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    aside = target.with_name(target.name + _ASIDE)
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(source)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(source, aside)
        flush(aside)
    aside.replace(target)
