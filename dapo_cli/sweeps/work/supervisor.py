"""A worker: claims runs, has each trained by a process of its own, watches those, and gives back what did not end."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dapo_cli.errors import DapoError, Interrupted
from dapo_cli.sweeps.work import children
from dapo_cli.sweeps.work.child_process import BUSY, STORE_TROUBLE
from dapo_cli.sweeps.work.children import Child
from dapo_cli.training.signals import Stop
from store.errors import CannotWrite, StoreError, Vanished, WorkerEnded
from store.queue import run_queue, sweeps
from store.queue.workers import Registered, Watch
from store.session import Database

POLL = 0.2  # seconds between two looks at the processes
LOOK = 1.0  # seconds between two looks at the database
BEAT = 5.0  # seconds between two signs of life of the worker, and between two looks for dead ones
PATIENCE = 600.0  # seconds without the database before a worker gives up
TROUBLES = 5  # runs in a row that the store failed before a worker gives up
HELD = 60.0  # seconds that a run is passed over whose lock another process has
REFUSALS = 10  # times that a worker finds a run's lock taken before it leaves the run to others
STALL = 1800.0  # seconds without a step before a run counts as hung


class Screen(Protocol):
    """Where a worker says what happens."""

    def happened(self, run_id: str, status: str, reason: str) -> None:
        """A run was "started", or is "completed", "diverged", "failed", "cancelled", "queued" again, or "gone"."""

    def look(self, db: Database) -> None:
        """Called about every LOOK seconds."""

    def warn(self, message: str) -> None:
        """A line that must not get lost."""


class Order(NamedTuple):
    """What a worker is told to do."""

    sweep: str | None = None  # only this one's runs
    jobs: int = 1  # how many runs at once
    stay: bool = False  # wait for more when nothing is left
    stall: float = STALL
    modules: Sequence[str] = ()  # that environments may be imported from


def work(location: str, order: Order, screen: Screen) -> Counter[str]:
    """Work until the queue has nothing left for this worker; returns how many runs ended in which status.

    Raises StoreError (also for an unknown sweep), and Interrupted once all runs have stopped and are back in the queue.
    """
    with Database.write(location) as db:
        if order.sweep is not None:
            sweeps.get(db, order.sweep)
        with Stop() as stop:  # before anyone sees the worker: a signal must find it listening
            registered, message = Registered(db, order.jobs, order.sweep), "died of an error"
            worker = _Worker(db, location, order, screen, registered)
            try:
                try:
                    worker.run(stop)
                except Vanished:
                    worker.dismiss()
                    raise
                finally:
                    worker.kill_all()
                message = "nothing left to do"
            except (DapoError, StoreError) as error:
                message = str(error)
                raise
            finally:
                registered.end(message)
    return worker.ended


class _Worker:
    def __init__(self, db: Database, location: str, order: Order, screen: Screen, registered: Registered) -> None:
        self.db, self.location, self.order, self.screen, self.registered = db, location, order, screen, registered
        self.ended: Counter[str] = Counter()
        self._children: list[Child] = []
        self._watch = Watch()
        self._next_beat = 0.0
        self._unsure = False  # whether a run may be a dead worker's
        self._served: set[str] = set()  # ids of the sweeps that it has had runs of
        self._troubles = 0  # runs that the store failed, in a row
        self._refusals: Counter[str] = Counter()  # by run: how often its lock was taken
        self._passed_over: dict[str, float] = {}  # by run: until when
        self._silent_since: float | None = None  # when the database stopped to answer

    def run(self, stop: Stop) -> None:
        """Until nothing is left, or all runs have stopped after a signal: Interrupted."""
        next_look = 0.0
        while True:
            for child in self._children:
                if stop.requested:
                    child.stop("its worker was stopped")
                child.enforce()
            ended = [child.process.poll() is not None for child in self._children]
            if any(ended) or time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK
                done = self._patiently(claiming=not stop.requested)
                # Without the database the runs can't be given back; others take them over.
                if stop.requested and (not self._children or (self._silent_since and all(ended))):
                    raise Interrupted("stopped; what was being trained is back in the queue", stop.requested)
                if done and not self._children:
                    return
            time.sleep(POLL)

    def _patiently(self, *, claiming: bool) -> bool:
        """A look at the database, which may be out of reach for a while. Returns whether nothing is left to do."""
        try:
            done = self._look_alive(claiming)
        except (CannotWrite, Vanished):
            raise
        except StoreError as error:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                self.screen.warn(f"{error}; trying again")
            if time.monotonic() - self._silent_since > PATIENCE:
                raise
            return False
        self._silent_since = None
        return done

    def _look_alive(self, claiming: bool) -> bool:
        try:
            return self._look(claiming)
        except WorkerEnded as error:
            self.screen.warn(str(error))
            self.registered.renew()  # what it had and others have taken over is noticed at the next look
            return False

    def _look(self, claiming: bool) -> bool:
        self._reap()
        self._watch_children()
        if time.monotonic() >= self._next_beat or not self._children:
            self._next_beat = time.monotonic() + BEAT
            self.registered.beat()
            _, self._unsure = run_queue.take_over(self.db, self._watch, self.registered.id)
        now, nothing = time.monotonic(), False
        self._passed_over = {run_id: until for run_id, until in self._passed_over.items() if until > now}
        while claiming and not nothing and len(self._children) < self.order.jobs:
            having = [child.run_id for child in self._children]
            run_id = run_queue.claim(
                self.db, self.registered.id, self.order.sweep, having=having, without=self._passed_over
            )
            if run_id is None:
                nothing = True
            else:
                self._served |= run_queue.sweeps_of(self.db, run_id)
                self._start(run_id)
        self.screen.look(self.db)
        held = any(until < math.inf for until in self._passed_over.values())
        return nothing and not (self.order.stay or self._unsure or held or self._paused())

    def _start(self, run_id: str) -> None:
        worker_id, modules = self.registered.id, self.order.modules
        child = children.start(self.db, self.location, run_id, worker_id, modules, self._children)
        self._children.append(child)
        self.screen.happened(run_id, "started", "")

    def _reap(self) -> None:
        for child in [child for child in self._children if child.process.poll() is not None]:
            status, reason = children.finish(self.db, self.registered.id, child)
            self._children.remove(child)
            child.close()
            self.ended[status] += 1
            self.screen.happened(child.run_id, status, reason)
            if status == "queued" and child.process.returncode == BUSY:
                self._pass_over(child.run_id)
            trouble = status == "queued" and child.process.returncode == STORE_TROUBLE
            self._troubles = self._troubles + 1 if trouble else 0
            if self._troubles >= TROUBLES:
                raise CannotWrite(f"{reason} ({TROUBLES} times in a row): repair that, then start the worker again")

    def _pass_over(self, run_id: str) -> None:
        self._refusals[run_id] += 1
        last = self._refusals[run_id] >= REFUSALS
        self._passed_over[run_id] = math.inf if last else time.monotonic() + HELD
        if last:
            self.screen.warn(f"run {run_id} still has another process: it stays in the queue, for another worker")

    def _watch_children(self) -> None:
        if not self._children:
            return
        runs = run_queue.progress(self.db, self.registered.id, [child.run_id for child in self._children])
        for child in self._children:
            run = runs.get(child.run_id)
            if run is None:  # taken over, or deleted: nothing that it writes counts any more
                child.kill()
                continue
            if not run["wants"]:
                child.stop("its sweep was paused or cancelled")
            child.watch((run["status"], run["step"]), self.order.stall)

    def _paused(self) -> bool:
        """Whether a sweep that it has worked for will go on."""
        return any(run_queue.count_waiting(self.db, sweep_id, "paused") for sweep_id in self._served)

    def dismiss(self) -> None:
        """Stop the runs in good order where the worker itself can do nothing more, and pass on what they say."""
        for child in self._children:
            child.stop("the database vanished")
        while any(child.process.poll() is None for child in self._children):
            for child in self._children:
                child.enforce()
            time.sleep(POLL)
        for child in self._children:
            if line := children.last_line(child):
                self.screen.warn(line)

    def kill_all(self) -> None:
        """Leave no process behind, whatever ended the worker."""
        for child in self._children:
            child.kill()
            child.process.wait()
            child.close()
