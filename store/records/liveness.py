"""Which "running" runs have lost their process: their effective status is "interrupted"."""

from __future__ import annotations

import socket

from sqlalchemy import ColumnElement, case, select

from store.connection.locks import RunLock
from store.schema.encoding import seconds_since
from store.schema.models import Run
from store.session import Database

SILENCE = 60.0  # seconds without a heartbeat after which a run on another host counts as dead


def dead_runs(db: Database) -> set[str]:
    """The ids of runs whose row says "running" and whose process is gone.

    On this host the kernel tells, by the run's lock; without its lock file, and for other hosts, the heartbeat does
    (their clocks are taken to agree within a minute).
    """
    with db.connect() as session:
        rows = session.execute(select(Run.id, Run.host, Run.heartbeat_at).where(Run.status == "running")).all()
    return {run_id for run_id, host, heartbeat in rows if not _is_alive(db, run_id, host, heartbeat)}


def status_expression(dead: set[str]) -> ColumnElement[str]:
    """The effective status as SQL: what a filter on `status` compares, given `dead_runs(db)`."""
    if not dead:
        return Run.status.expression
    return case((Run.id.in_(sorted(dead)), "interrupted"), else_=Run.status)


def _is_alive(db: Database, run_id: str, host: str | None, heartbeat: str | None) -> bool:
    lock = db.run_folder(run_id) / "lock"
    if host == socket.gethostname() and lock.exists():
        return RunLock.is_held(lock)
    # One from the future tells as little as an old one: a clock was set back, or the two disagree.
    try:
        return heartbeat is not None and abs(seconds_since(heartbeat)) < SILENCE
    except (TypeError, ValueError):  # no time at all
        return False
