"""Takes over what another database holds: runs with rows and files, sweeps, selections, exports. Again changes nothing.

A run is known by its id. Where both databases hold it, its record (settings, episodes, evaluations, metrics; wall times
aside) decides: if one record continues the other, the longer one stays; if neither does, that is a conflict, which is
reported, and ours stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from store.connection import reading
from store.connection.failures import translated, translated_files
from store.connection.locks import RunLock
from store.errors import RunBusy, StoreError
from store.integrity import wrong_values
from store.records.copied_files import forget_replaced, place
from store.records.liveness import dead_runs
from store.schema import revisions
from store.schema.models import Base, Export, Run, Selection, Sweep
from store.session import PATIENCE, Database
from store.transfer.merged_sweeps import merge_links, merge_sweeps

RECORD = ("hyperparameter", "episode", "evaluation", "metric")
_OF_THE_USER = ("kind", "note")  # columns that are changed after training, each where the user sits
_FETCHED = 10_000  # rows read and written together


@dataclass(frozen=True)
class Outcome:
    """What came of merging one database: ids of runs, names and keys, and a line for each conflict."""

    location: str
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)  # runs that went on over there since they were merged
    known: list[str] = field(default_factory=list)  # here already, as far or farther
    training: list[str] = field(default_factory=list)  # left alone: they are being trained
    sweeps: list[str] = field(default_factory=list)
    selections: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def merge(db: Database, other: str) -> Outcome:
    """Merge the database at `other` into `db`. Of an older schema, a copy is upgraded and read.

    Each run is one transaction, so that whoever trains here waits for one run at most. What is broken off leaves whole
    runs, and what is missing comes with the next merge. Files are hard links where the disk can, else copies.
    StoreError; RunBusy is a conflict, not an error.
    """
    outcome = Outcome(other)
    db.patience = max(db.patience, PATIENCE)
    with _opened(other, db) as source:
        dead = dead_runs(source)
        with source.connect() as theirs:
            wrong_values.refuse(theirs, other)
        with db.merging(), source.connect() as theirs, db.transaction(shared=True) as session:
            merged = merge_sweeps(session, theirs)
        outcome.sweeps.extend(merged.added)
        outcome.conflicts.extend(merged.conflicts)
        with source.connect() as theirs:
            ids = theirs.scalars(select(Run.id).order_by(Run.id)).all()
        for run_id in ids:
            with db.merging(), source.connect() as theirs:
                _merge_run(db, source, theirs, run_id, dead, outcome)
        with db.merging(), source.connect() as theirs, db.transaction(durable=True, shared=True) as session:
            merge_links(session, theirs)
            _merge_selections(session, theirs, outcome)
            _merge_exports(session, theirs, outcome)
    forget_replaced(db, outcome.updated)
    return outcome


def _merge_run(db: Database, source: Database, theirs: Session, run_id: str, dead: set[str], outcome: Outcome) -> None:
    """One run, with its rows and files or not at all."""
    found = theirs.execute(select(Run.__table__).where(Run.id == run_id)).mappings().one_or_none()
    if found is None:  # deleted over there meanwhile
        return
    run = {**found, "worker_id": None}  # a worker of the other queue
    if run["status"] == "running":
        run["status"] = "interrupted"
        if run_id not in dead:
            outcome.training.append(run_id)
            return
    with ExitStack() as stack:
        decided = _decided(db, theirs, run)
        folder = db.run_folder(run_id)
        if decided == "updated":
            lock = RunLock(folder / "lock")
            try:
                if _trains(db, run_id):
                    raise RunBusy(run_id)
                lock.acquire()
            except RunBusy:
                outcome.conflicts.append(_busy(run_id))
                return
            stack.callback(lock.release)
            decided = _decided(db, theirs, run)  # now that nobody trains it
        if decided in ("added", "updated") and not _write(db, source, theirs, run, new=decided == "added"):
            decided = _busy(run_id)
    if decided in ("added", "updated", "known"):
        getattr(outcome, decided).append(run_id)
    else:
        outcome.conflicts.append(decided)


def _write(db: Database, source: Database, theirs: Session, run: dict[str, Any], *, new: bool) -> bool:
    """The run's files and, in one transaction, its rows; False, and nothing, if a worker here is about to train it."""
    folder = db.run_folder(run["id"])
    made: list[Path] = []
    try:
        with translated_files(f"the runs' files in {db.files}"):
            made = place(source.run_folder(run["id"]), folder)
        with db.transaction(shared=True) as session:  # `merging` keeps other merges out
            state = select(Run.status, Run.worker_id).where(Run.id == run["id"]).with_for_update()
            held = session.execute(state).one_or_none()
            if held is not None and held.status == "queued" and held.worker_id is not None:
                return False
            _write_run(session, theirs, run, folder, new=new)
    except BaseException:
        for place_ in made:
            shutil.rmtree(place_, ignore_errors=True)
        raise
    return True


def _trains(db: Database, run_id: str) -> bool:
    with db.connect() as ours:
        running = ours.scalar(select(Run.status).where(Run.id == run_id)) == "running"
    return running and run_id not in dead_runs(db)


def _busy(run_id: str) -> str:
    return f"run {run_id} went on over there, and is being trained here: stop one of them"


@contextmanager
def _opened(location: str, target: Database) -> Iterator[Database]:
    """The other database for reading, in the newest schema."""
    with Database(location, writable=False) as raw:
        if raw.path is not None and target.path is not None and raw.path.resolve() == target.path.resolve():
            raise StoreError(f"{location} is the database that is merged into: name another one")
        revision = raw.revision()
        if revision == revisions.HEAD or raw.path is None:
            with Database.read(location) as source:
                yield source
            return
        if revision is None:
            raise StoreError(f"no results in {location} yet: there is nothing to merge")
        beside = target.path or Path.cwd() / "runs.db"
        with translated_files(f"beside {target.location}"):
            holder = TemporaryDirectory(prefix=f".{beside.name}.merging-", dir=beside.parent)
        with holder as folder:
            copy = Path(folder) / raw.path.name
            with translated(location), translated_files(f"beside {target.location}"):
                reading.copy(raw.path, copy)
            Database.write(str(copy)).close()
            with Database.read(str(copy)) as source:
                source.files = raw.files
                yield source


def _decided(db: Database, theirs: Session, run: Mapping[str, Any]) -> str:
    """What a merge does with a run: "added", "updated", "known", or the line of a conflict."""
    with db.connect() as ours:
        return _decide(ours, theirs, run)


def _decide(ours: Session, theirs: Session, run: Mapping[str, Any]) -> str:
    run_id = run["id"]
    held = ours.execute(select(Run.__table__).where(Run.id == run_id)).mappings().one_or_none()
    if held is None:
        return "added"
    differences = [(_rows(ours, name, run_id), _rows(theirs, name, run_id)) for name in RECORD]
    only_ours = any(mine - other for mine, other in differences)
    only_theirs = any(other - mine for mine, other in differences)
    if only_ours and only_theirs:
        return f"run {run_id} is another one over there: this database's stays"
    return "updated" if only_theirs or (not only_ours and _later(run, dict(held))) else "known"


def _later(run: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    return bool((run["step"], run["heartbeat_at"] or "") > (held["step"], held["heartbeat_at"] or ""))


def _rows(session: Session, name: str, run_id: str) -> set[tuple[Any, ...]]:
    table = Base.metadata.tables[name]
    columns = [column for column in table.c if column.name not in ("run_id", "wall_time")]
    return {tuple(row) for row in session.execute(select(*columns).where(table.c.run_id == run_id))}


def _write_run(session: Session, theirs: Session, run: dict[str, Any], folder: Path, *, new: bool) -> None:
    """The run's row and all of its rows, in place of those that are here; tags and events are joined."""
    table, run_id = Base.metadata.tables["run"], run["id"]
    if run["sweep_id"] is not None and theirs.get(Sweep, run["sweep_id"]) is None:
        run = {**run, "sweep_id": None}
    if new:
        session.execute(insert(table), [run])
    else:
        columns = {name: value for name, value in run.items() if name not in (*_OF_THE_USER, "id")}
        session.execute(update(table).where(table.c.id == run_id).values(columns))
    for name in (*RECORD, "checkpoint"):
        rows = Base.metadata.tables[name]
        if not new:
            session.execute(delete(rows).where(rows.c.run_id == run_id))
        result = theirs.execute(select(rows).where(rows.c.run_id == run_id), execution_options={"yield_per": _FETCHED})
        for part in result.mappings().partitions(_FETCHED):
            # A checkpoint's row says that its files are there.
            kept = [dict(row) for row in part if name != "checkpoint" or (folder / row["path"]).is_dir()]
            if kept:
                session.execute(insert(rows), kept)
    for name in ("tag", "event"):
        rows = Base.metadata.tables[name]
        columns_ = [column for column in rows.c if column.name != "id"]
        query = select(*columns_).where(rows.c.run_id == run_id).order_by(*rows.primary_key)
        known = {tuple(row) for row in session.execute(query)}
        missing = [dict(row) for row in theirs.execute(query).mappings() if tuple(row.values()) not in known]
        if missing:
            session.execute(insert(rows), missing)


def _merge_selections(session: Session, theirs: Session, outcome: Outcome) -> None:
    held, others = _members(session), _members(theirs)
    for name, rows in sorted(others.items()):
        if name not in held:
            session.execute(insert(Selection), rows)
            outcome.selections.append(name)
        elif {row["run_id"] for row in rows} != {row["run_id"] for row in held[name]}:
            outcome.conflicts.append(f"selection {name!r} holds other runs over there: this database's stays")


def _members(session: Session) -> dict[str, list[dict[str, Any]]]:
    members: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(select(Selection.__table__)).mappings():
        members.setdefault(row["name"], []).append(dict(row))
    return members


def _merge_exports(session: Session, theirs: Session, outcome: Outcome) -> None:
    held: Mapping[str, Any] = {row.key: row.definition for row in session.execute(select(Export.__table__))}
    for row in theirs.execute(select(Export.__table__).order_by(Export.key)).mappings():
        if row["key"] not in held:
            session.execute(insert(Export), [dict(row)])
            outcome.exports.append(row["key"])
        elif held[row["key"]] != row["definition"]:
            outcome.conflicts.append(f"export {row['key']} is another one over there: this database's stays")
