"""The runs that one process trains, one or several together, each closed with the status in which it truly ended."""

from __future__ import annotations

import shlex
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from algorithms.learner.base import Learner
from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import Interrupted, RunFailed, in_one_line
from dapo_cli.training import provenance
from dapo_cli.training.checkpoint import Checkpoints, Loaded
from dapo_cli.training.driving import drive
from dapo_cli.training.live import display
from dapo_cli.training.loop import Diverged, Loop, StoppedBySignal
from dapo_cli.training.making import Trainee, differences
from dapo_cli.training.progress import Display
from dapo_cli.training.signals import Stop
from store.errors import CannotWrite, StoreError
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

LONGEST_REASON = 300  # characters; the traceback in the run's events has the rest


@dataclass
class Member:
    """A run whose record is open: trained from its start, or on from what was `loaded`."""

    run_id: str
    trainee: Trainee
    checkpoints: Checkpoints
    recorder: Recorder
    remarks: list[str] = field(default_factory=list)  # for the user, before training begins
    loaded: Loaded | None = None
    reasons: Sequence[str] = ()  # why it cannot be exactly the run that was never interrupted

    def loop(self, stop: Stop) -> Loop:
        """Its part of the training loop."""
        trainee = self.trainee
        fingerprint = provenance.fingerprint(trainee.execution.as_dict())
        record = (self.recorder, self.checkpoints, fingerprint)
        return Loop(trainee.config.settings, trainee.learner, trainee.environments, *record, stop)

    def restore(self, db: Database, loop: Loop, screen: Display) -> None:
        """Brings the loop to where the run was, and says what the user should know."""
        differences = list(self.reasons)
        if self.loaded and not loop.restore(self.loaded):
            differences.append("the open episode did not repeat itself")
        if differences:
            text = "; ".join(differences)
            runs.set_status(db, self.run_id, "running", exactness="approximate")
            self.recorder.event("approximate", text, loop.progress.step)
            self.remarks.append(f"this run is marked approximate: {text}")
        for remark in self.remarks:
            screen.say(remark)

    def failed(self, error: Exception, name: str) -> RunFailed:
        """Closes the record of a run that cannot go on, and returns what the user is told."""
        if isinstance(error, Diverged):
            self.recorder.close("diverged", str(error))
            return RunFailed(f"run {name} diverged: {error}; its record is kept (dapo show {name})")
        reason = in_one_line(error)[:LONGEST_REASON]
        text = "".join(traceback.format_exception(error))
        self.recorder.event("traceback", reason, data={"traceback": text})
        self.recorder.close("failed", reason)
        return RunFailed(f"run {name} failed: {reason} (dapo show {name} has the traceback)")

    def leave(self, screen: Display) -> None:
        """Closes the environments of a run whose status is on record, and remarks on what they raise meanwhile."""
        environments = self.trainee.environments
        for remark in filter(None, dict.fromkeys([environment.close() for environment in environments])):
            screen.say(remark)
            with suppress(StoreError):  # the record is complete without it
                self.recorder.event("remark", remark)
                self.recorder.flush()


def reopened(
    db: Database,
    run: Mapping[str, Any],
    trainee: Trainee,
    checkpoints: Checkpoints,
    loaded: Loaded | None,
    complaints: list[str],
) -> Member:
    """A run that is taken up again, from what was `loaded` into its learner or from its beginning."""
    run_id, step, execution = str(run["id"]), loaded.step if loaded else 0, trainee.execution.as_dict()
    runs.set_status(db, run_id, "running")
    recorder = Recorder(db, run_id, resume_from=step)
    recorder.event("resumed", provenance.command(), step, {**provenance.of_process(execution["device"]), **execution})
    before = loaded.fingerprint if loaded else provenance.fingerprint_of(run)
    reasons = differences(before, provenance.fingerprint(execution))
    return Member(run_id, trainee, checkpoints, recorder, complaints, loaded, reasons)


def train(
    stack: ExitStack,
    db: Database,
    members: Sequence[Member],
    update: Callable[[], None],
    leave: Callable[[Learner], None] = lambda _: None,
) -> None:
    """Trains the members to their end. `update` updates all of their learners but those that were told to `leave`.

    Raises RunFailed, once the others have ended, for those that failed or diverged; Interrupted; CannotWrite.
    """
    stop = stack.enter_context(Stop())
    db.hurried = lambda: stop.requested is not None
    names = runs.shorten(db)
    again = _resume_command(db, names[members[0].run_id])
    screen, shown = display(_title(members, names), members[0].trainee.execution.compiled)
    going = {member.loop(stop): member for member in members}
    failures: list[RunFailed] = []

    def ended(loop: Loop, error: Exception) -> None:
        member = going.pop(loop)
        leave(loop.learner)
        failures.append(member.failed(error, names[member.run_id]))
        failures[-1].__cause__ = error

    def close(status: str, reason: str | None = None) -> None:
        for member in going.values():
            member.recorder.close(status, reason)

    for member in members:
        stack.callback(member.leave, screen)
    try:
        for loop, member in list(going.items()):
            try:
                member.restore(db, loop, screen)
            except StoreError:
                raise
            except Exception as error:  # of its environment
                ended(loop, error)
        with shown:
            drive(list(going), update, screen, stop, ended)
    except (StoppedBySignal, KeyboardInterrupt) as error:
        signum = stop.requested or signal.SIGINT
        word = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
        saved = isinstance(error, StoppedBySignal)
        close("interrupted", word if saved else f"{word} twice")
        state = "checkpoint saved" if saved else "without a checkpoint of this moment"
        if db.rescued:
            raise CannotWrite(f"{db.rescued}; then continue with: {again}") from error
        raise Interrupted(f"interrupted, {state}; continue with: {again}", signum) from error
    except StoreError as error:
        with suppress(StoreError):  # where not even this can be written, a dead process is the true status
            close("interrupted", str(error))
        raise CannotWrite(f"{error}; then continue with: {again}") from error
    close("completed")
    db.look()
    for member in going.values():
        if not member.trainee.config.settings.keep_replay:
            member.checkpoints.drop_replay()
    if db.rescued:
        raise CannotWrite("; ".join(map(str, [*failures, db.rescued])))
    if failures:
        raise failures[0] if len(failures) == 1 else RunFailed("; ".join(map(str, failures)))


def _title(members: Sequence[Member], names: dict[str, str]) -> str:
    settings = members[0].trainee.config.settings
    head = f"{settings.algo} on {settings.env}, "
    if len(members) == 1:
        return f"{head}seed {settings.seed}, run {names[members[0].run_id]}"
    seeds = " ".join(str(member.trainee.config.settings.seed) for member in members)
    return f"{head}seeds {seeds}, runs {' '.join(names[member.run_id] for member in members)}"


def _resume_command(db: Database, name: str) -> str:
    location = db.lost or db.location  # the rows are to go back to where they were
    if location == database_location(None):
        return f"dapo resume {name}"
    if db.path is None:  # its URL may hold a password
        return f"dapo resume {name} with the same --db"
    return f"dapo resume {name} --db {shlex.quote(location)}"
