"""Deletes runs with everything that is theirs, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from store._failures import translated_files
from store.errors import RunBusy, RunNotFound
from store.liveness import dead_runs
from store.locks import RunLock
from store.models import Run
from store.session import Database


def delete(db: Database, ids: Iterable[str]) -> None:
    """Delete runs, given by their whole ids: rows and files. RunBusy if one of them is alive: then all stay."""
    wanted = sorted(set(ids))
    dead = dead_runs(db)
    moved: list[tuple[Path, Path]] = []
    with ExitStack() as locks:
        for run_id in wanted:
            if db.run_folder(run_id).is_dir():
                lock = RunLock(db.run_folder(run_id) / "lock")
                lock.acquire()  # nobody resumes it meanwhile
                locks.callback(lock.release)
        try:
            with db.transaction(durable=True) as session:
                for run_id in wanted:
                    status = session.scalar(select(Run.status).where(Run.id == run_id))
                    if status is None:
                        raise RunNotFound(f"no run {run_id!r} in {db.location}: it may be deleted already")
                    if status == "running" and run_id not in dead:
                        raise RunBusy(f"run {run_id} is being trained: stop it first")
                    session.execute(delete_rows(Run).where(Run.id == run_id))
                for run_id in wanted:
                    _move_aside(db, run_id, moved)
        except BaseException:
            for folder, aside in moved:
                aside.rename(folder)
            raise
    for _, aside in moved:
        shutil.rmtree(aside, ignore_errors=True)


def size(db: Database, run_id: str) -> int:
    """Bytes of a run's files, without those that links in its folder point to."""
    places = (Path(folder, name) for folder, _, names in os.walk(db.run_folder(run_id)) for name in names)
    total = 0
    for place in places:
        with suppress(OSError):  # its run has just replaced it
            total += place.lstat().st_size
    return total


def _move_aside(db: Database, run_id: str, moved: list[tuple[Path, Path]]) -> None:
    folder = db.run_folder(run_id)
    if not folder.is_dir():
        return
    aside = folder.with_name(f".deleted-{folder.name}")
    with translated_files(f"the folder {db.files}"):
        if aside.exists():  # a deletion that died here
            shutil.rmtree(aside)
        folder.rename(aside)
    moved.append((folder, aside))
