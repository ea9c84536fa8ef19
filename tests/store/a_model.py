"""The store's commands, upon a database and upon dictionaries. A run is named by its environment and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from store.connection.locks import RunLock
from store.errors import RunBusy, RunNotFound, SelectionNotFound, StoreError, SweepNotFound
from store.queue import run_queue, sweeps
from store.records import runs, selections
from store.records.insertion import NewRun
from store.records.marks import mark
from store.records.recorder import Recorder
from store.schema.encoding import now
from store.schema.models import Worker
from store.session import Database
from store.transfer import merge

Key = tuple[str, int]
UNKNOWN = "0" * 16
SETTINGS = [{"name": "m", "value": 1, "origin": "default"}]


def row(key: Key) -> dict[str, Any]:
    return {"algo": "sac", "env": key[0], "seed": key[1], "steps": 9}


class Real:
    """A database."""

    def __init__(self, location: str) -> None:
        self.db = Database.write(location)
        self.going: dict[Key, tuple[Recorder, RunLock]] = {}

    def ids(self) -> dict[Key, str]:
        return {(run["env"], run["seed"]): run["id"] for run in runs.listing(self.db)}

    def named(self, keys: Iterable[Key]) -> list[str]:
        ids = self.ids()
        return [ids.get(key, UNKNOWN) for key in keys]

    def keys(self, ids: Iterable[str]) -> set[Key]:
        of_id = {id_: key for key, id_ in self.ids().items()}
        return {of_id[id_] for id_ in ids}

    def begin(self, key: Key) -> None:
        run_id = self.ids().get(key)
        lock = RunLock(self.db.run_folder(run_id or (new := runs.new_run_id())) / "lock")
        lock.acquire()
        if run_id is None:
            run_id = runs.create(self.db, run={**row(key), "id": new}, hyperparameters=SETTINGS)
        runs.set_status(self.db, run_id, "running")
        self.going[key] = Recorder(self.db, run_id), lock

    def record(self, key: Key, numbers: Sequence[int]) -> None:
        recorder, _ = self.going[key]
        for number in numbers:
            recorder.episode(number, number + 1, float(number), 1, 0.0, False, True)
        recorder.progress(numbers[-1] + 1, 0.0)
        recorder.flush()

    def finish(self, key: Key, status: str) -> None:
        recorder, lock = self.going.pop(key)
        recorder.close(status)
        lock.release()

    def mark(self, keys: Sequence[Key], tag: str, untag: str, note: str | None) -> set[Key]:
        return self.keys(mark(self.db, self.named(keys), tags=[tag], untag=[untag], note=note))

    def freeze(self, name: str, keys: Sequence[Key]) -> None:
        selections.freeze(self.db, name, self.named(keys))

    def thaw(self, name: str) -> None:
        selections.remove(self.db, name)

    def delete(self, keys: Sequence[Key]) -> None:
        runs.delete(self.db, self.named(keys))

    def enqueue(self, name: str, keys: Sequence[Key]) -> list[set[Key]]:
        done = sweeps.enqueue(self.db, name, {}, [NewRun(row(key), SETTINGS) for key in keys])
        return [self.keys(ids) for ids in (done.added, done.shared, done.known)]

    def set_state(self, name: str, state: str) -> str:
        return sweeps.set_state(self.db, name, state)

    def retry(self, name: str) -> set[Key]:
        return self.keys(sweeps.retry(self.db, name))

    def claim(self, worker: str, name: str | None) -> set[Key]:
        with self.db.transaction() as session:
            if session.get(Worker, worker) is None:
                facts = {"host": "h", "pid": 1, "jobs": 1, "started_at": now(), "heartbeat_at": now()}
                session.add(Worker(id=worker, **facts))
        run_id = run_queue.claim(self.db, worker, name)
        return self.keys([run_id] if run_id else [])

    def release(self, key: Key, worker: str) -> str | None:
        return run_queue.release(self.db, self.named([key])[0], worker, "stopped")

    def crashed(self, key: Key, worker: str, final: bool) -> str | None:
        return run_queue.crashed(self.db, self.named([key])[0], worker, "oops", since=0, final=final)

    def merge(self, other: Real) -> list[set[Key]]:
        done = merge.merge(self.db, other.db.location)
        assert done.conflicts == []
        known = self.keys(id_ for id_ in done.known if id_ not in done.training)
        return [self.keys(done.added), self.keys(done.updated), known, other.keys(done.training)]

    def state(self) -> dict[str, Any]:
        with self.db.connect() as session:
            rows = session.connection().exec_driver_sql("SELECT run_id, count(*) FROM episode GROUP BY run_id")
            episodes = {run_id: count for run_id, count in rows}  # noqa: C416 (a Row is no tuple)
        found: dict[Key, Any] = {}
        for run in runs.listing(self.db):
            kept = run["status"], run["step"], episodes.get(run["id"], 0), set(run["tags"]), run["note"]
            found[run["env"], run["seed"]] = kept
        names = {name["name"]: name["runs"] for name in selections.names(self.db)}
        return {"runs": found, "selections": names, "waiting": run_queue.count_waiting(self.db)}

    def close(self) -> None:
        for key in list(self.going):
            self.finish(key, "interrupted")
        self.db.close()


@dataclass
class Run:
    status: str = "queued"
    episodes: int = 0
    tags: set[str] = field(default_factory=set)
    note: str | None = None
    worker: str | None = None
    attempts: int = 0
    sessions: int = 0


class Model:
    """The same in memory."""

    def __init__(self) -> None:
        self.runs: dict[Key, Run] = {}
        self.selections: dict[str, set[Key]] = {}
        self.sweeps: dict[str, tuple[str, list[Key]]] = {}  # state, and runs in their order

    def begin(self, key: Key) -> None:
        run = self.runs.setdefault(key, Run())
        run.status, run.sessions = "running", run.sessions + 1

    def record(self, key: Key, numbers: Sequence[int]) -> None:
        self.runs[key].episodes += len(numbers)

    def finish(self, key: Key, status: str) -> None:
        self.runs[key].status = status

    def mark(self, keys: Sequence[Key], tag: str, untag: str, note: str | None) -> set[Key]:
        self._present(keys)
        changed = set()
        for key in keys:
            run = self.runs[key]
            new = replace(run, tags=(run.tags | {tag}) - ({untag} & run.tags), note=run.note if note is None else note)
            if new != run:
                changed.add(key)
                self.runs[key] = new
        return changed

    def freeze(self, name: str, keys: Sequence[Key]) -> None:
        held = self.selections.get(name)
        if held == set(keys):
            return
        if held is not None:
            raise StoreError("it holds others")
        self._present(keys)
        self.selections[name] = set(keys)

    def thaw(self, name: str) -> None:
        if self.selections.pop(name, None) is None:
            raise SelectionNotFound(name)

    def delete(self, keys: Sequence[Key]) -> None:
        if any(key in self.runs and self.runs[key].status == "running" for key in keys):
            raise RunBusy("it lives")
        self._present(keys)
        for key in keys:
            del self.runs[key]
            self.sweeps = {
                name: (state, [other for other in held if other != key]) for name, (state, held) in self.sweeps.items()
            }

    def enqueue(self, name: str, keys: Sequence[Key]) -> list[set[Key]]:
        state, held = self.sweeps.get(name, ("active", []))
        added = {key for key in keys if key not in self.runs}
        known = {key for key in keys if key in held}
        for key in added:
            self.runs[key] = Run()
        self.sweeps[name] = ("active" if state == "cancelled" else state, [*held, *(k for k in keys if k not in held)])
        self._requeue(name, ("interrupted", "cancelled"))
        return [added, set(keys) - added - known, known]

    def set_state(self, name: str, state: str) -> str:
        before, held = self._sweep(name)
        self.sweeps[name] = state, held
        for key in held:
            run = self.runs[key]
            if state == "cancelled" and run.status == "queued" and run.worker is None and not self._wanted(key):
                run.status = "cancelled"
        return before

    def retry(self, name: str) -> set[Key]:
        self.sweeps[name] = "active", self._sweep(name)[1]
        return self._requeue(name, ("failed", "interrupted", "cancelled"))

    def claim(self, worker: str, name: str | None) -> set[Key]:
        for sweep, (state, held) in self.sweeps.items():
            for key in held:
                run = self.runs[key]
                if state == "active" and name in (None, sweep) and run.status == "queued" and run.worker is None:
                    run.worker = worker
                    return {key}
        return set()

    def release(self, key: Key, worker: str) -> str | None:
        run = self.runs.get(key)
        if run is None or run.worker != worker:
            return None
        run.status, run.worker = "queued" if self._wanted(key) else "cancelled", None
        return run.status

    def crashed(self, key: Key, worker: str, final: bool) -> str | None:
        run = self.runs.get(key)
        if run is None or run.worker != worker:
            return None
        run.attempts += 1
        if run.attempts < run_queue.ATTEMPTS and not final:
            return self.release(key, worker)
        run.status, run.worker = "failed", None
        return "failed"

    def merge(self, other: Model) -> list[set[Key]]:
        training = {key for key, run in other.runs.items() if run.status == "running"}
        settled = other.runs.keys() - training
        added = {key for key in settled if key not in self.runs}
        updated = {key for key in settled - added if other.runs[key].sessions > self.runs[key].sessions}
        for key in added | updated:
            run = replace(other.runs[key], tags=set(other.runs[key].tags))
            if key in updated:
                run.tags |= self.runs[key].tags
                run.note = self.runs[key].note
            self.runs[key] = run
        return [added, updated, settled - added - updated, training]

    def state(self) -> dict[str, Any]:
        waiting = {
            key
            for state, held in self.sweeps.values()
            for key in held
            if state == "active" and self.runs[key].status == "queued" and self.runs[key].worker is None
        }
        return {
            "runs": {k: (r.status, r.episodes, r.episodes, r.tags, r.note) for k, r in self.runs.items()},
            "selections": {name: len(held) for name, held in self.selections.items()},
            "waiting": len(waiting),
        }

    def _present(self, keys: Sequence[Key]) -> None:
        if any(key not in self.runs for key in keys):
            raise RunNotFound("no such run")

    def _sweep(self, name: str) -> tuple[str, list[Key]]:
        if name not in self.sweeps:
            raise SweepNotFound(name)
        return self.sweeps[name]

    def _wanted(self, key: Key) -> bool:
        return any(key in held and state != "cancelled" for state, held in self.sweeps.values())

    def _requeue(self, name: str, statuses: Sequence[str]) -> set[Key]:
        again = {key for key in self._sweep(name)[1] if self.runs[key].status in statuses}
        for key in again:
            run = self.runs[key]
            run.status, run.worker, run.attempts = "queued", None, 0
        return again
