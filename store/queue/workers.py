"""Workers: the processes that take runs from the queue. Who they are, their heartbeats, and which of them have died."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Hashable
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.connection.locks import RunLock
from store.errors import WorkerEnded
from store.records.insertion import new_run_id
from store.records.liveness import SILENCE
from store.schema.encoding import clean, now, seconds_since
from store.schema.models import Run, Worker
from store.session import Database


class Registered:
    """This process as a worker, from its making to `end`. Its lock tells others on this host that it lives."""

    def __init__(self, db: Database, jobs: int, sweep: str | None) -> None:
        """Records a worker that trains `jobs` runs at once, for one sweep (by name) or for any."""
        self._db = db
        self._row = {"host": socket.gethostname(), "pid": os.getpid(), "jobs": jobs, "sweep": sweep}
        self._register(None)

    def _register(self, before: str | None) -> None:
        self.id = new_run_id()
        self._lock = RunLock(_folder(self._db, self.id) / "lock")
        self._lock.acquire()
        still_its = (Run.worker_id == before) & Run.status.not_in(("completed", "diverged"))
        with self._db.transaction() as session:
            for name in session.scalars(select(Worker.sweep).where(Worker.id == before)):
                self._row["sweep"] = name  # it may have been renamed
            session.execute(insert(Worker).values(id=self.id, **self._row, started_at=now(), heartbeat_at=now()))
            if before is not None:
                session.execute(update(Run).where(still_its).values(worker_id=self.id))

    def beat(self) -> None:
        """A sign of life. WorkerEnded if another worker has declared this one dead."""
        with self._db.transaction() as session:
            require_alive(session, self.id)
            session.execute(update(Worker).where(Worker.id == self.id).values(heartbeat_at=now()))

    def renew(self) -> None:
        """Register as another worker, after WorkerEnded; the runs that nobody has freed meanwhile stay its own."""
        self._release()
        self._register(self.id)

    def end(self, message: str) -> None:
        """It works no longer, and says why; the lock is released even where that can't be written."""
        ended = {"heartbeat_at": now(), "ended_at": now(), "message": clean(message)}
        try:
            with self._db.transaction() as session:
                session.execute(update(Worker).where(Worker.id == self.id, Worker.ended_at.is_(None)).values(ended))
        finally:
            self._release()

    def _release(self) -> None:
        self._lock.release()
        shutil.rmtree(_folder(self._db, self.id), ignore_errors=True)


def require_alive(session: Session, worker_id: str) -> None:
    """Raise WorkerEnded unless this worker is on record as alive; it is so until the end of the transaction."""
    alive = select(Worker.id).where(Worker.id == worker_id, Worker.ended_at.is_(None)).with_for_update()
    if session.scalar(alive) is None:
        raise WorkerEnded("this worker was silent for so long that another one declared it dead: it registers anew")


class Watch:
    """Tells the dead from the living, as one observer on one host sees them.

    On this host the kernel tells, by a lock. Of another host only the heartbeat is known, and its clock may be wrong:
    it is dead if its heartbeat stays the same for SILENCE seconds of *this* process's clock.
    """

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[str | None, float, bool]] = {}

    def is_alive(self, db: Database, name: str, host: str | None, heartbeat: str | None) -> bool | None:
        """Of a run, or of a worker by `lock_name`: None as long as it can't be told."""
        lock = db.run_folder(name) / "lock"
        if host == socket.gethostname() and lock.exists():
            return RunLock.is_held(lock)
        before, since, beating = self._seen.get(name, (heartbeat, time.monotonic(), False))
        if heartbeat != before:
            before, since, beating = heartbeat, time.monotonic(), True
        self._seen[name] = (before, since, beating)
        if time.monotonic() - since >= SILENCE:
            return False
        return True if beating else None


def lock_name(worker_id: str) -> str:
    """The name under which a worker's lock lies among the runs' folders."""
    return f"worker-{worker_id}"


def forget(db: Database, worker_id: str) -> None:
    """Record that a worker died, and remove what it left on disk."""
    died = {"ended_at": now(), "message": "died: killed, or its machine was lost"}
    with db.transaction() as session:
        session.execute(update(Worker).where(Worker.id == worker_id, Worker.ended_at.is_(None)).values(died))
    shutil.rmtree(_folder(db, worker_id), ignore_errors=True)


def listing(db: Database) -> list[dict[str, Any]]:
    """Every worker that has not ended, oldest first: its columns, and `alive` as far as can be told in one look."""
    with db.connect() as session:
        query = select(Worker.__table__).where(Worker.ended_at.is_(None)).order_by(Worker.started_at)
        rows = [dict(row) for row in session.execute(query).mappings()]
    for row in rows:
        lock = _folder(db, row["id"]) / "lock"
        if row["host"] == socket.gethostname() and lock.exists():
            row["alive"] = RunLock.is_held(lock)
        else:
            row["alive"] = abs(seconds_since(row["heartbeat_at"])) < SILENCE
    return rows


def _folder(db: Database, worker_id: str) -> Any:
    return db.run_folder(lock_name(worker_id))
