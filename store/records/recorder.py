"""Writes what training produces, off the training thread: a call appends to a list, a thread commits once a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, select, update

from store.errors import DatabaseLocked, Disconnected, RunBusy, RunNotFound
from store.records.earlier_rows import Comparison, Recorded
from store.records.rescue import rescue
from store.schema.encoding import clean, encode_json, now, split_number
from store.schema.models import Base
from store.session import PATIENCE, Database

INTERVAL = 1.0  # seconds between two transactions

_RUN, _EPISODE, _EVALUATION, _METRIC, _EVENT = (
    Base.metadata.tables[name] for name in ("run", "episode", "evaluation", "metric", "event")
)
_TRAINER = (_RUN.c.host, _RUN.c.pid)

Ending = tuple[str, str | None] | None  # status and reason


class _Batch(NamedTuple):
    """What one transaction writes."""

    heartbeat: str  # of this batch alone
    rows: dict[Table, list[dict[str, Any]]]
    progress: tuple[int, float] | None
    comparison: Comparison | None
    ending: Ending


class Recorder:
    """The one writer of a run's rows while the run trains; the training thread calls it.

    Every INTERVAL it commits the new rows, the progress and a heartbeat in one transaction. If that fails, the rows
    stay in memory and the next call raises the StoreError; `close` tries once more. A database that others keep locked,
    or whose server is away, is tried again for as long as no `flush` insists, and for PATIENCE even then. If the
    connection breaks while the server commits, the heartbeat on record tells whether it has. A file that vanishes is
    rescued: the rows go into a copy, and `rescued` says so, which is when the run shall stop.

    A run has one trainer: once the run's host and process are no longer those that it had when the recorder was made,
    because another machine took the run over, nothing more is written and the StoreError RunBusy says so.

    With `resume_from`, the step of the checkpoint from which the run goes on, recomputed rows are compared with those
    that an earlier session left (wall time excluded). Equal rows stay. At the first difference the run is marked
    "approximate" and the earlier rows that were not confirmed give way to the recomputed ones; `approximate` tells.
    Record no timings as metrics, therefore: they never repeat.
    """

    def __init__(self, db: Database, run_id: str, *, resume_from: int | None = None) -> None:
        self.approximate = False
        self._db = db
        self._run_id = run_id
        self._pending: dict[Table, list[dict[str, Any]]] = {
            table: [] for table in (_EPISODE, _EVALUATION, _METRIC, _EVENT)
        }
        self._progress: tuple[int, float] | None = None
        self._recorded = Recorded.after(db, run_id, resume_from) if resume_from is not None else None
        self._error: Exception | None = None
        self._closed = False
        self._doubtful: _Batch | None = None
        self._trainer = self._trainer_on_record()
        db.patience = PATIENCE
        db.rescuer = partial(rescue, db, run_id)
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_often, name=f"recorder of {run_id}", daemon=True)
        self._thread.start()

    def episode(
        self,
        number: int,
        step: int,
        return_: float,
        length: int,
        wall_time: float,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """A training episode: its number from 0, the environment step at its end, seconds of training until then."""
        self._raise_error()
        value, kind = split_number(float(return_))
        self._pending[_EPISODE].append(
            {
                "run_id": self._run_id,
                "number": number,
                "step": step,
                "return": value,
                "return_kind": kind,
                "length": length,
                "wall_time": wall_time,
                "terminated": bool(terminated),
                "truncated": bool(truncated),
            }
        )

    def evaluation(self, step: int, actions: str, number: int, return_: float, length: int) -> None:
        """Evaluation episode `number` (from 0) at training step `step`, with "mean" or "sampled" actions."""
        self._raise_error()
        value, kind = split_number(float(return_))
        row = {"run_id": self._run_id, "step": step, "actions": actions, "number": number, "length": length}
        self._pending[_EVALUATION].append({**row, "return": value, "return_kind": kind})

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Diagnostics at a training step, at most one value of each name for a step."""
        self._raise_error()
        rows = []
        for name, number in values.items():
            value, kind = split_number(float(number))
            rows.append({"run_id": self._run_id, "name": name, "step": step, "value": value, "value_kind": kind})
        self._pending[_METRIC].extend(rows)

    def event(self, kind: str, message: str, step: int | None = None, data: dict[str, Any] | None = None) -> None:
        """Something that happened to the run; `data` becomes a JSON object."""
        self._raise_error()
        self._pending[_EVENT].append(self._event_row(kind, message, step, data))

    def progress(self, step: int, wall_time: float) -> None:
        """Where training stands: environment steps, and seconds over all sessions."""
        self._raise_error()
        self._progress = (step, wall_time)

    def flush(self) -> None:
        """Return when everything recorded so far is committed and survives a power failure."""
        self._raise_error()
        self._insist(None)

    def close(self, status: str, reason: str | None = None) -> None:
        """Commit the rest with the run's final status and an event of that kind; a second call does nothing."""
        if self._closed:
            return
        self._stop.set()
        self._thread.join()
        self._insist((status, reason))
        self._closed = True

    @property
    def rescued(self) -> str | None:
        """What happened to the database's file, and where the rows are now; None as long as all is well."""
        return self._db.rescued

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_often(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                self._write()
            except (DatabaseLocked, Disconnected):  # the rows wait in memory, and a checkpoint insists
                continue
            except Exception as error:  # for the training thread, whatever it is
                self._error = error
                return

    def _insist(self, ending: Ending) -> None:
        try:
            self._write(durable=True, ending=ending)
        except Disconnected:  # in the middle: the server is back, or is waited for
            self._write(durable=True, ending=ending)

    def _write(self, *, durable: bool = False, ending: Ending = None) -> None:
        with self._writing:
            if self._doubtful is not None and self._settle(self._doubtful) and self._doubtful.ending:
                return
            self._doubtful = None
            # The training thread may append at any moment: take what is there, and drop it once it is committed.
            rows = {table: rows[:] for table, rows in self._pending.items()}
            progress = self._progress
            upto = progress[0] if durable and progress else None
            comparison = self._recorded.compare(rows, upto) if self._recorded else None
            batch = _Batch(now(), rows, progress, comparison, ending)
            try:
                with self._db.transaction(durable=durable, shared=True) as session:
                    self._execute(session.connection(), batch)
            except Disconnected:
                self._doubtful = batch
                raise
            self._drop(batch)

    def _execute(self, connection: Connection, batch: _Batch) -> None:
        self._update_run(connection, heartbeat_at=batch.heartbeat)
        step = None
        if batch.progress is not None:
            step, wall_time = batch.progress
            self._update_run(connection, step=step, wall_time=wall_time)
        new: Mapping[Table, Sequence[Mapping[str, Any]]] = batch.rows
        if batch.comparison is not None:
            new = batch.comparison.new
            self._replace(connection, batch.comparison)
        for table, rows in new.items():
            if rows:
                connection.execute(insert(table), rows)
        if batch.ending is not None:
            status, reason = batch.ending
            reason = clean(reason) if reason else None
            self._update_run(connection, status=status, reason=reason, ended_at=now())
            connection.execute(insert(_EVENT), self._event_row(status, reason or status, step, None))

    def _settle(self, batch: _Batch) -> bool:
        """Whether a batch was committed though nobody could say so; if it was, it is dropped."""
        query = select(_RUN.c.heartbeat_at).where(_RUN.c.id == self._run_id)
        with self._db.transaction(shared=True) as session:
            committed = session.scalar(query.with_for_update()) == batch.heartbeat  # waits for its end on the server
        if committed:
            self._drop(batch)
        return bool(committed)

    def _drop(self, batch: _Batch) -> None:
        for table, rows in batch.rows.items():
            del self._pending[table][: len(rows)]
        if batch.comparison is not None:
            self._recorded = batch.comparison.rest
            self.approximate = self.approximate or batch.comparison.difference is not None

    def _replace(self, connection: Connection, comparison: Comparison) -> None:
        difference = comparison.difference
        comparison.obsolete.delete(connection)
        if difference is not None and not self.approximate:
            self._update_run(connection, exactness="approximate")
            event = self._event_row("approximate", str(difference), difference.step, difference.data())
            connection.execute(insert(_EVENT), event)

    def _update_run(self, connection: Connection, **values: Any) -> None:
        ours = [column.is_not_distinct_from(value) for column, value in zip(_TRAINER, self._trainer, strict=True)]
        if connection.execute(update(_RUN).where(_RUN.c.id == self._run_id, *ours).values(values)).rowcount:
            return
        trainer = connection.execute(select(*_TRAINER).where(_RUN.c.id == self._run_id)).one_or_none()
        if trainer is None:
            raise RunNotFound(f"run {self._run_id} was deleted from {self._db.location} meanwhile: train it anew")
        host, pid = trainer
        raise RunBusy(f"run {self._run_id} was taken over by process {pid} on {host}: leave it to that one")

    def _trainer_on_record(self) -> tuple[Any, ...]:
        with self._db.connect() as session:
            trainer = session.execute(select(*_TRAINER).where(_RUN.c.id == self._run_id)).one_or_none()
        return (None, None) if trainer is None else tuple(trainer)

    def _event_row(self, kind: str, message: str, step: int | None, data: dict[str, Any] | None) -> dict[str, Any]:
        text = clean(message)
        row = {"run_id": self._run_id, "created_at": now(), "step": step, "kind": kind, "message": text}
        return {**row, "data": encode_json(data)}
