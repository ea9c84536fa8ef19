"""The queue: the runs of active sweeps that wait for a worker, in the order of their sweeps.

A run waits while its status is "queued" and it has no worker. A worker claims it, has it trained, and releases it if it
was not brought to its end; a dead worker's runs are taken over. Every change is one transaction that says what it
expects, so that of two workers who want the same run, one gets it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from store.queue import sweeps, workers
from store.records.insertion import event_row
from store.schema.encoding import clean, now
from store.schema.models import (
    Checkpoint,
    Episode,
    Evaluation,
    Event,
    Metric,
    Run,
    Sweep,
    SweepRun,
    Worker,
)
from store.session import Database

ATTEMPTS = 3
"""How often a run may crash without getting farther, before it has failed."""


def claim(
    db: Database,
    worker_id: str,
    sweep: str | None = None,
    *,
    having: Collection[str] | None = None,
    without: Collection[str] = (),
) -> str | None:
    """The next run for this worker, of any active sweep or of the one of that name; None if none waits.

    Where the worker is on record, the sweep is that of its row, which follows when the sweep is renamed. `having`: the
    runs that the worker knows to have. One that it has beside these counts as waiting: the connection broke when it was
    claimed, before the worker could hear of it. Runs in `without` are passed over. WorkerEnded if another worker has
    declared this one dead.
    """
    waits = _waits()
    if having is not None:
        waits |= (Run.status == "queued") & (Run.worker_id == worker_id) & Run.id.not_in(having)
    query = (
        select(Run.id)
        .join(SweepRun, SweepRun.run_id == Run.id)
        .join(Sweep, Sweep.id == SweepRun.sweep_id)
        .where(waits, Sweep.state == "active")
        .order_by(Sweep.created_at, Sweep.id, SweepRun.position, Run.id)
        .limit(1)
        .with_for_update(of=Run, skip_locked=True)  # SQLite needs none: its transaction holds the one write lock
    )
    if sweep is not None:
        on_record = select(Worker.sweep).where(Worker.id == worker_id).scalar_subquery()
        query = query.where(Sweep.name == func.coalesce(on_record, clean(sweep)))
    if without:
        query = query.where(Run.id.not_in(list(without)))
    with db.transaction() as session:
        workers.require_alive(session, worker_id)
        run_id = session.scalar(query)
        if run_id is not None:
            session.execute(update(Run).where(Run.id == run_id).values(worker_id=worker_id))
        return run_id


def still_claimed(db: Database, run_id: str, worker_id: str) -> bool:
    """Whether this worker has the run: nobody took it over, deleted it or trains it otherwise."""
    with db.connect() as session:
        return session.scalar(select(Run.worker_id).where(Run.id == run_id)) == worker_id


def release(db: Database, run_id: str, worker_id: str, message: str) -> str | None:
    """Give a run back that was stopped through no fault of its own; returns its status afterwards.

    "queued", or "cancelled" where no sweep wants it any more. None, and nothing changes, if it is not this worker's.
    """
    with db.transaction(durable=True) as session:
        run = _held(session, run_id, worker_id)
        return None if run is None else _give_back(session, run, message)


def crashed(db: Database, run_id: str, worker_id: str, reason: str, *, since: int, final: bool = False) -> str | None:
    """Record that an attempt crashed; returns the status afterwards: "queued" for another attempt, else "failed".

    `since` is the step of the checkpoint with which the attempt began (`checkpoint_step`): one that got farther is the
    first again. `final`: another attempt would end the same way. None if the run is not this worker's.
    """
    with db.transaction(durable=True) as session:
        run = _held(session, run_id, worker_id)
        if run is None:
            return None
        attempts = 1 if _checkpoint_step(session, run_id) > since else run.attempts + 1
        session.execute(update(Run).where(Run.id == run_id).values(attempts=attempts))
        if attempts < ATTEMPTS and not final:
            return _give_back(session, run, f"attempt {attempts} of {ATTEMPTS} crashed: {reason}")
        text = clean(reason if final else f"{reason} ({attempts} attempts)")
        ended = {"status": "failed", "reason": text, "ended_at": now(), "worker_id": None}
        session.execute(update(Run).where(Run.id == run_id).values(ended))
        if run.status != "failed":
            session.execute(insert(Event).values(event_row(run_id, "failed", text, run.step)))
        return "failed"


def sweeps_of(db: Database, run_id: str) -> set[str]:
    """The ids of the sweeps to which a run belongs."""
    query = select(SweepRun.sweep_id).where(SweepRun.run_id == run_id)
    with db.connect() as session:
        return set(session.scalars(query))


def start_over(db: Database, run_id: str) -> None:
    """Forget what earlier attempts at a run recorded, which is about to be trained from its beginning."""
    with db.transaction() as session:
        for model in (Episode, Evaluation, Metric):
            session.execute(delete(model).where(model.run_id == run_id))
        session.execute(update(Run).where(Run.id == run_id).values(step=0, wall_time=0.0, started_at=None))


def checkpoint_step(db: Database, run_id: str) -> int:
    """The step of the run's newest checkpoint; 0 without one."""
    with db.connect() as session:
        return _checkpoint_step(session, run_id)


def progress(db: Database, worker_id: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of these runs those that this worker has: id -> `status`, `step`, `reason`, and `wants`: an active sweep does."""
    active = select(SweepRun.run_id).join(Sweep, Sweep.id == SweepRun.sweep_id)
    active = active.where(SweepRun.run_id == Run.id, Sweep.state == "active").correlate(Run)
    query = select(Run.id, Run.status, Run.step, Run.reason, active.exists().label("wants"))
    with db.connect() as session:
        rows = session.execute(query.where(Run.worker_id == worker_id, Run.id.in_(list(ids)))).mappings()
        return {row["id"]: dict(row) for row in rows}


def take_over(db: Database, watch: workers.Watch, itself: str | None = None) -> tuple[list[str], bool]:
    """Free the runs of dead workers, and those of active sweeps whose process died: (their ids, whether any is unsure).

    Call it again and again with the same `watch`. A living worker looks after its own runs, and the one that calls is
    `itself` alive.
    """
    freed, unsure = [], False
    of_worker: dict[str | None, bool | None] = {itself: True, None: False}
    for run in _taken(db):
        worker_id = run["worker_id"]
        if worker_id not in of_worker:
            of_worker[worker_id] = _worker_alive(db, watch, run)
        alive = of_worker[worker_id]
        if alive is False and run["status"] == "running":
            alive = watch.is_alive(db, run["id"], run["host"], run["heartbeat_at"])
        if alive is None:
            unsure = True
        elif not alive and _free(db, run):
            freed.append(run["id"])
    return freed, unsure


def _worker_alive(db: Database, watch: workers.Watch, run: dict[str, Any]) -> bool | None:
    if run["worker_host"] is None or run["worker_ended"] is not None:
        return False
    name = workers.lock_name(run["worker_id"])
    alive = watch.is_alive(db, name, run["worker_host"], run["worker_heartbeat"])
    if alive is False:
        workers.forget(db, run["worker_id"])
    return alive


def count_waiting(db: Database, sweep_id: str | None = None, state: str = "active") -> int:
    """How many runs wait, of sweeps in this state."""
    links = select(SweepRun.run_id).join(Sweep, Sweep.id == SweepRun.sweep_id).where(Sweep.state == state)
    if sweep_id is not None:
        links = links.where(Sweep.id == sweep_id)
    with db.connect() as session:
        return session.scalar(select(func.count()).select_from(Run).where(_waits(), Run.id.in_(links))) or 0


def _waits() -> ColumnElement[bool]:
    return (Run.status == "queued") & Run.worker_id.is_(None)


def _held(session: Session, run_id: str, worker_id: str) -> Run | None:
    return session.scalar(select(Run).where(Run.id == run_id, Run.worker_id == worker_id).with_for_update())


def _give_back(session: Session, run: Any, message: str) -> str:
    wanted = session.scalar(select(Run.id).where(Run.id == run.id, sweeps.wanted_by_a_sweep())) is not None
    status = "queued" if wanted else "cancelled"
    values = {"status": status, "worker_id": None, "reason": None, "ended_at": None if wanted else now()}
    session.execute(update(Run).where(Run.id == run.id).values(values))
    session.execute(insert(Event).values(event_row(run.id, status, message, run.step)))
    return status


def _checkpoint_step(session: Session, run_id: str) -> int:
    return session.scalar(select(func.max(Checkpoint.step)).where(Checkpoint.run_id == run_id)) or 0


def _taken(db: Database) -> list[dict[str, Any]]:
    """The runs that some process is or should be busy with, and who that is.

    One that stopped or failed while it had a worker is the worker's to settle, as long as that lives.
    """
    columns = (Run.id, Run.status, Run.host, Run.heartbeat_at, Run.worker_id)
    of_worker = (
        Worker.host.label("worker_host"),
        Worker.heartbeat_at.label("worker_heartbeat"),
        Worker.ended_at.label("worker_ended"),
    )
    # Its process may outlive the worker, and stop in good order or fail.
    unsettled = Run.status.in_(("queued", "interrupted", "failed")) & Run.worker_id.is_not(None)
    busy = or_(Run.status == "running", unsettled)
    query = select(*columns, *of_worker).outerjoin(Worker, Worker.id == Run.worker_id)
    with db.connect() as session:
        rows = session.execute(query.where(busy, sweeps.wanted_by_a_sweep())).mappings()
        return [dict(row) for row in rows]


def _free(db: Database, seen: dict[str, Any]) -> bool:
    """Give a run back, unless something has happened to it since it was seen."""
    same = [Run.__table__.c[name].is_not_distinct_from(seen[name]) for name in ("status", "heartbeat_at", "worker_id")]
    with db.transaction(durable=True) as session:
        run = session.scalar(select(Run).where(Run.id == seen["id"], *same).with_for_update())
        if run is None:
            return False
        if run.status == "failed":  # and the worker died before it could count that
            attempts = run.attempts + 1
            values = {"attempts": attempts, "worker_id": None}
            session.execute(update(Run).where(Run.id == run.id).values(values))
            if attempts >= ATTEMPTS:
                return False
        _give_back(session, run, "its worker died")
        return True
