"""Sweeps: made or enlarged, found by name, paused and cancelled, and counted. Plain functions over a Database.

The runs of a sweep are the rows of `sweep_run`; who works on them is the matter of `store.queue.run_queue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, insert, select, update
from sqlalchemy.orm import Session

from store.errors import StoreError, SweepNotFound
from store.records import configurations
from store.records.insertion import NewRun, event_row, insert_runs, new_run_id
from store.records.liveness import dead_runs, status_expression
from store.schema.encoding import clean, decode_json, encode_json, now
from store.schema.models import SWEEP_STATES, Event, Run, Sweep, SweepRun, Worker
from store.session import Database

# Of several runs of one configuration, a sweep takes the one that is farthest; those last are queued again.
_PREFERRED = ("completed", "diverged", "running", "queued", "interrupted", "failed", "cancelled")
_TAKEN_UP = ("interrupted", "cancelled")


class Enqueued(NamedTuple):
    """What `enqueue` made of the wanted runs: their ids, in the sweep's order."""

    sweep_id: str
    added: list[str]  # new
    shared: list[str]  # on record already, and now the sweep's, too
    known: list[str]  # the sweep's already

    @property
    def runs(self) -> list[str]:
        """All of them."""
        return [*self.added, *self.shared, *self.known]


def enqueue(
    db: Database,
    name: str,
    definition: Mapping[str, Any],
    wanted: Sequence[NewRun],
    *,
    again: bool = False,
    new_id: str | None = None,
) -> Enqueued:
    """Make the sweep, or enlarge the one of that name, in one transaction. The definition replaces the older one.

    A wanted run whose configuration the database has already, for the same purpose (kind), is not made anew: the sweep
    shares it, and if it was interrupted or cancelled it is queued again. With `again` only runs of this sweep count as
    had. `wanted` is as for `store.records.runs.create`; the status is set here. Runs of the sweep that are no longer
    wanted stay; a cancelled sweep is active again. `new_id`: of the sweep, if it is made, so that its shards have the
    same.
    """
    added: list[NewRun] = []
    shared, known = [], []
    with db.transaction(durable=True) as session:
        configurations.fill(session)
        sweep_id, links = _open(session, clean(name), definition, new_id or new_run_id())
        on_record = _on_record(session, sweep_id if again else None)
        places: list[str] = []
        for new in wanted:
            values = {setting["name"]: setting["value"] for setting in new.hyperparameters}
            hash_ = configurations.of_row(new.run, values)
            kind = str(new.run.get("kind", "train"))
            held = on_record.get((hash_, kind)) if hash_ else None
            if held is None:
                held = new_run_id()
                fresh = {**new.run, "id": held, "status": "queued", "sweep_id": sweep_id}
                added.append(new._replace(run=fresh))
                if hash_:
                    on_record[hash_, kind] = held  # the same one twice in a sweep is one run
            elif held in links:
                known.append(held)
            elif held not in places:
                shared.append(held)
            places.append(held)
        if added:
            insert_runs(session, added)
        following = max(links.values(), default=-1) + 1
        new_links = [run_id for run_id in dict.fromkeys(places) if run_id not in links]
        rows = [
            {"sweep_id": sweep_id, "run_id": run_id, "position": following + number}
            for number, run_id in enumerate(new_links)
        ]
        if rows:
            session.execute(insert(SweepRun), rows)
        _requeue(session, Run.id.in_(_of(sweep_id)) & Run.status.in_(_TAKEN_UP), f"wanted by the sweep {clean(name)}")
    return Enqueued(sweep_id, [str(new.run["id"]) for new in added], shared, list(dict.fromkeys(known)))


def on_record(db: Database, wanted: Sequence[NewRun]) -> list[str | None]:
    """For each wanted run, the id of the one that `enqueue` would share, or None where it would make one."""
    with db.connect() as session:
        held = _on_record(session, None)
    found = []
    for new in wanted:
        hash_ = configurations.of_row(new.run, {row["name"]: row["value"] for row in new.hyperparameters})
        found.append(held.get((hash_, str(new.run.get("kind", "train")))) if hash_ else None)
    return found


def get(db: Database, name: str) -> dict[str, Any]:
    """The sweep: `id`, `name`, `definition` (decoded), `created_at` and `state`. SweepNotFound."""
    for sweep in listing(db):
        if sweep["name"] == clean(name):
            return sweep
    raise SweepNotFound(f"there is no sweep {name!r} in {db.location}: list them with: dapo sweep status")


def listing(db: Database) -> list[dict[str, Any]]:
    """All sweeps as `get` returns them, oldest first."""
    with db.connect() as session:
        rows = session.execute(select(Sweep.__table__).order_by(Sweep.created_at, Sweep.id)).mappings()
        return [{**row, "definition": decode_json(row["definition"]) or {}} for row in rows]


def unfinished(db: Database) -> set[str]:
    """The ids of the sweeps with runs that wait or train."""
    query = select(SweepRun.sweep_id).join(Run, Run.id == SweepRun.run_id).where(Run.status.in_(("queued", "running")))
    with db.connect() as session:
        return set(session.scalars(query.distinct()))


def progress(db: Database, sweep_id: str) -> list[dict[str, Any]]:
    """How far the sweep's runs are, in its order: `id`, `algo`, `env`, `seed`, `status`, `step`, `steps`, `wall_time`.

    The status is the effective one; a run that a worker has and that has not begun is "queued".
    """
    dead = dead_runs(db)
    columns = (Run.id, Run.algo, Run.env, Run.seed, Run.step, Run.steps, Run.wall_time)
    query = select(*columns, status_expression(dead).label("status"))
    query = query.join(SweepRun, SweepRun.run_id == Run.id).where(SweepRun.sweep_id == sweep_id)
    with db.connect() as session:
        rows = session.execute(query.order_by(SweepRun.position, Run.id)).mappings()
        return [dict(row) for row in rows]


def members(sweep_id: str) -> ColumnElement[bool]:
    """The condition on `run` that a run belongs to this sweep."""
    return Run.id.in_(_of(sweep_id))


def set_state(db: Database, name: str, state: str) -> str:
    """Make the sweep active, paused or cancelled; returns the state before. SweepNotFound.

    Cancelling also ends its waiting runs, save those that another sweep wants, too; workers end those that train.
    """
    if state not in SWEEP_STATES:
        raise ValueError(f"no such state of a sweep: {state}")
    with db.transaction(durable=True) as session:
        sweep = _named(session, db, name)
        before = str(sweep.state)
        session.execute(update(Sweep).where(Sweep.id == sweep.id).values(state=state))
        if state == "cancelled":
            waiting = members(sweep.id) & (Run.status == "queued") & Run.worker_id.is_(None) & ~wanted_by_a_sweep()
            ids = session.scalars(select(Run.id).where(waiting)).all()
            for run_id in ids:
                session.execute(update(Run).where(Run.id == run_id).values(status="cancelled", ended_at=now()))
                session.execute(insert(Event).values(event_row(run_id, "cancelled", f"with the sweep {sweep.name}")))
        return before


def rename(db: Database, name: str, new: str) -> None:
    """Give a sweep another name, also while workers train it: they go on. SweepNotFound; StoreError: it is taken."""
    with db.transaction(durable=True) as session:
        sweep = _named(session, db, name)
        if session.scalar(select(Sweep.id).where(Sweep.name == clean(new))) is not None:
            raise StoreError(f"there is a sweep {new!r} already: choose another name")
        session.execute(update(Sweep).where(Sweep.id == sweep.id).values(name=clean(new)))
        serving = (Worker.sweep == clean(name)) & Worker.ended_at.is_(
            None
        )  # `store.queue.run_queue.claim` follows their rows
        session.execute(update(Worker).where(serving).values(sweep=clean(new)))


def retry(db: Database, name: str) -> list[str]:
    """Queue the sweep's failed, interrupted and cancelled runs again, with all their attempts; returns their ids.

    A diverged run is a result and stays. The sweep is active afterwards. SweepNotFound.
    """
    with db.transaction(durable=True) as session:
        sweep = _named(session, db, name)
        session.execute(update(Sweep).where(Sweep.id == sweep.id).values(state="active"))
        again = members(sweep.id) & Run.status.in_(("failed", *_TAKEN_UP))
        return _requeue(session, again, f"dapo sweep retry {sweep.name}")


def wanted_by_a_sweep() -> ColumnElement[bool]:
    """The condition on `run` that a sweep which is not cancelled has it."""
    links = select(SweepRun.run_id).join(Sweep, Sweep.id == SweepRun.sweep_id)
    return exists(links.where(SweepRun.run_id == Run.id, Sweep.state != "cancelled").correlate(Run))


def _named(session: Session, db: Database, name: str) -> Sweep:
    sweep = session.scalar(select(Sweep).where(Sweep.name == clean(name)).with_for_update())
    if sweep is None:
        raise SweepNotFound(f"there is no sweep {name!r} in {db.location}: list them with: dapo sweep status")
    return sweep


def _of(sweep_id: str) -> Any:
    return select(SweepRun.run_id).where(SweepRun.sweep_id == sweep_id)


def _open(session: Session, name: str, definition: Mapping[str, Any], new_id: str) -> tuple[str, dict[str, int]]:
    """The sweep's id and its links (run id -> position); made if there is none of that name."""
    text = encode_json(dict(definition)) or "{}"
    held = session.scalar(select(Sweep).where(Sweep.name == name).with_for_update())
    if held is None:
        if session.get(Sweep, new_id) is not None:  # the same definition, under the name that it has been given since
            new_id = new_run_id()
        row = {"id": new_id, "name": name, "definition": text, "created_at": now(), "state": "active"}
        session.execute(insert(Sweep).values(row))
        return row["id"], {}
    state = "active" if held.state == "cancelled" else held.state
    session.execute(update(Sweep).where(Sweep.id == held.id).values(definition=text, state=state))
    links = select(SweepRun.run_id, SweepRun.position).where(SweepRun.sweep_id == held.id)
    return held.id, {run_id: position for run_id, position in session.execute(links)}  # noqa: C416 (a Row is no tuple)


def _on_record(session: Session, sweep_id: str | None) -> dict[tuple[str, str], str]:
    """The run of each configuration and kind, (hash, kind) -> id: the farthest, of several the oldest."""
    query = select(Run.id, Run.configuration, Run.kind, Run.status, Run.created_at)
    query = query.where(Run.configuration.is_not(None))
    if sweep_id is not None:
        query = query.where(members(sweep_id))
    rank = {status: number for number, status in enumerate(_PREFERRED)}
    rows = sorted(session.execute(query), key=lambda row: (rank.get(row.status, 99), row.created_at, row.id))
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        found.setdefault((row.configuration, row.kind), row.id)
    return found


def _requeue(session: Session, which: ColumnElement[bool], message: str) -> list[str]:
    """Put runs into the queue again, as if nobody had tried them; their checkpoints stay. Returns their ids."""
    rows = session.execute(select(Run.id, Run.step).where(which)).all()
    free = {"status": "queued", "worker_id": None, "attempts": 0, "reason": None, "ended_at": None}
    for run_id, step in rows:
        session.execute(update(Run).where(Run.id == run_id).values(free))
        session.execute(insert(Event).values(event_row(run_id, "queued", message, step)))
    return [run_id for run_id, _ in rows]
