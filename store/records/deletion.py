"""Deletes runs with everything that is theirs, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack

from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from store.connection import run_files
from store.connection.locks import RunLock
from store.errors import RunBusy, RunNotFound
from store.records.liveness import dead_runs
from store.schema.models import Run
from store.session import Database


def delete(db: Database, ids: Iterable[str]) -> None:
    """Delete runs, given by their whole ids: rows, then files. RunBusy if one of them is alive: then all stay.

    The rows go first: whatever happens then, a run on record has its files. Files that could not be deleted belong to
    no run, and `dapo db check` lists them.
    """
    wanted = sorted(set(ids))
    dead = dead_runs(db)
    folders = [folder for folder in map(db.run_folder, wanted) if os.path.lexists(folder)]
    with ExitStack() as locks:
        for folder in folders:
            run_files.check_deletable(folder)
            lock = RunLock(folder / "lock")
            lock.acquire()  # nobody resumes it meanwhile
            locks.callback(lock.release)
        with db.transaction(durable=True) as session:
            for run_id in wanted:
                status = session.scalar(select(Run.status).where(Run.id == run_id))
                if status is None:
                    raise RunNotFound(f"no run {run_id!r} in {db.location}: it may be deleted already")
                if status == "running" and run_id not in dead:
                    raise RunBusy(f"run {run_id} is being trained: stop it first")
                session.execute(delete_rows(Run).where(Run.id == run_id))
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
