"""Writes what training produces, off the training thread: a call appends to a list, a thread commits once a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, update

from store._values import clean, encode_json, now, split_number
from store.errors import DatabaseLocked, RunNotFound
from store.models import Base
from store.recorded import Comparison, Recorded
from store.session import Database

INTERVAL = 1.0  # seconds between two transactions

_RUN, _EPISODE, _EVALUATION, _METRIC, _EVENT = (
    Base.metadata.tables[name] for name in ("run", "episode", "evaluation", "metric", "event")
)


class Recorder:
    """The one writer of a run's rows while the run trains; the training thread calls it.

    Every INTERVAL it commits the new rows, the progress and a heartbeat in one transaction. If that fails, the rows
    stay in memory and the next call raises the StoreError; `close` tries once more. A database that others keep locked
    is tried again, for as long as no `flush` insists.

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
        self._write(durable=True)

    def close(self, status: str, reason: str | None = None) -> None:
        """Commit the rest with the run's final status and an event of that kind; a second call does nothing."""
        if self._closed:
            return
        self._stop.set()
        self._thread.join()
        self._write(durable=True, ending=(status, reason))
        self._closed = True

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_often(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                self._write()
            except DatabaseLocked:  # by many writers on a slow disk: the rows wait in memory, and a checkpoint insists
                continue
            except Exception as error:  # for the training thread, whatever it is
                self._error = error
                return

    def _write(self, *, durable: bool = False, ending: tuple[str, str | None] | None = None) -> None:
        with self._writing:
            # The training thread may append at any moment: take what is there, and drop it once it is committed.
            batch = {table: rows[:] for table, rows in self._pending.items()}
            step, wall_time = self._progress or (None, None)
            new: Mapping[Table, Sequence[Mapping[str, Any]]] = batch
            comparison = self._recorded.compare(batch, step if durable else None) if self._recorded else None
            with self._db.transaction(durable=durable) as session:
                connection = session.connection()
                self._update_run(connection, heartbeat_at=now())
                if step is not None:
                    self._update_run(connection, step=step, wall_time=wall_time)
                if comparison is not None:
                    new = comparison.new
                    self._replace(connection, comparison)
                for table, rows in new.items():
                    if rows:
                        connection.execute(insert(table), rows)
                if ending is not None:
                    status, reason = ending
                    reason = clean(reason) if reason else None
                    self._update_run(connection, status=status, reason=reason, ended_at=now())
                    connection.execute(insert(_EVENT), self._event_row(status, reason or status, step, None))
            for table, rows in batch.items():
                del self._pending[table][: len(rows)]
            if comparison is not None:
                self._recorded = comparison.rest
                self.approximate = self.approximate or comparison.difference is not None

    def _replace(self, connection: Connection, comparison: Comparison) -> None:
        difference = comparison.difference
        comparison.obsolete.delete(connection)
        if difference is not None and not self.approximate:
            self._update_run(connection, exactness="approximate")
            event = self._event_row("approximate", str(difference), difference.step, difference.data())
            connection.execute(insert(_EVENT), event)

    def _update_run(self, connection: Connection, **values: Any) -> None:
        if not connection.execute(update(_RUN).where(_RUN.c.id == self._run_id).values(values)).rowcount:
            raise RunNotFound(f"run {self._run_id} was deleted from {self._db.location} meanwhile: train it anew")

    def _event_row(self, kind: str, message: str, step: int | None, data: dict[str, Any] | None) -> dict[str, Any]:
        text = clean(message)
        row = {"run_id": self._run_id, "created_at": now(), "step": step, "kind": kind, "message": text}
        return {**row, "data": encode_json(data)}
