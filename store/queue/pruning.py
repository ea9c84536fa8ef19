"""Runs of a search that are given up early, as their returns promise too little."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select, update

from store.records.insertion import event_row
from store.schema.encoding import now
from store.schema.models import Event, Run, SweepRun
from store.session import Database

PRUNED = "pruned"
"""The kind of the event."""


def prune(db: Database, sweep_id: str, run_ids: Iterable[str], step: int) -> None:
    """Take runs out of a sweep because of their evaluations up to `step`; a worker that trains one then stops it.

    They end as cancelled, unless another sweep wants them, with an event "pruned"; what they recorded stays.
    """
    with db.transaction(durable=True) as session:
        for run_id in run_ids:
            session.execute(delete(SweepRun).where(SweepRun.sweep_id == sweep_id, SweepRun.run_id == run_id))
            session.execute(insert(Event).values(event_row(run_id, PRUNED, "given up by the search", step)))
            waiting = (Run.id == run_id) & (Run.status == "queued") & Run.worker_id.is_(None)
            elsewhere = select(SweepRun.run_id).where(SweepRun.run_id == run_id).exists()
            session.execute(update(Run).where(waiting, ~elsewhere).values(status="cancelled", ended_at=now()))
