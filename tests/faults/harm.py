"""What the processes of this harness do: train, or resume, one short run, and come to harm on the way."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import disk
import gymnasium
import numpy as np
import torch
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from dapo_cli.configuration import run_configuration
from dapo_cli.errors import DapoError
from dapo_cli.terminal import console
from dapo_cli.training import checkpoint, loop, session
from store.errors import StoreError
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

STEPS = 500
TINY = [
    "hidden_sizes=[16, 16]",
    "batch_size=8",
    "learning_starts=150",
    "buffer_size=500",
    "log_every=100",
    "keep_replay=true",
]
OPTIONS = {"algo": "dapo-kl", "env": "Pendulum-v1", "steps": STEPS, "eval_every": 150, "eval_episodes": 1}
OPTIONS |= {"checkpoint_every": 35, "compile": "off"}


class Endless(gymnasium.Env[np.ndarray, np.ndarray]):
    """Its episodes never end; from the time that a file `hang` lies in the working folder on, not even its steps."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-2, 2, (1,), np.float32)

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(2, np.float32), {}

    def step(self, _: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if Path("hang").exists():
            Path("hanging").touch()
        while Path("hang").exists():
            pass
        return np.zeros(2, np.float32), 0.0, False, False, {}


gymnasium.register("Endless-v0", entry_point=Endless)


def train(location: str, **options: Any) -> None:
    """Starts the run, or continues it if there is one. The exit code is the command's; one line goes to stderr."""
    torch.set_num_threads(1)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    console.set_verbosity(-1)
    try:
        found = _run(location)
        if found is None:
            session.start(run_configuration.resolve(OPTIONS | options, TINY, directory=Path(location).parent), location)
        elif found["status"] != "completed":
            session.resume(location, found["id"])
    except (DapoError, StoreError) as error:
        with contextlib.suppress(OSError):
            Path(f"{location}.said").write_text(str(error))
        os._exit(getattr(error, "exit_code", 2))
    os._exit(0)


def command(words: list[str], folder: str, fault: disk.Fault, said: str) -> None:
    """One command as typed, with a fault of the disk in a folder.

    `said` receives what it writes to standard error; beside it lies the journal of operations.
    """
    from dapo_cli.app import main

    os.environ.pop("LD_PRELOAD")  # of programs that it starts
    torch.set_num_threads(1)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = open(said, "w", buffering=1)  # noqa: SIM115, PTH123
    try:
        if folder:
            disk.arm(Path(folder), Path(f"{said}.journal"), fault)
        code = main(words)
    except BaseException:
        traceback.print_exc()
        code = 70
    os._exit(code)


def stopped(words: list[str], step: int) -> None:
    """A command whose training is killed at that step."""
    original = loop.Loop.advance

    def stepping(self: Any) -> None:
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self)

    loop.Loop.advance = stepping  # type: ignore[method-assign]
    command(words, "", disk.Fault(), os.devnull)


def held(location: str, folder: str) -> None:
    """At step 200, makes a file `held` in a folder and waits until it is gone."""
    original, flag = loop.Loop.advance, Path(folder, "held")

    def stepping(self: Any) -> None:
        if self.progress.step == 200:
            flag.touch()
            while flag.exists():
                time.sleep(0.01)
        original(self)

    loop.Loop.advance = stepping  # type: ignore[method-assign]
    train(location)


def long(location: str, steps: int) -> None:
    """The same with another number of steps."""
    OPTIONS["steps"] = steps
    train(location)


def _run(location: str) -> dict[str, Any] | None:
    if not Path(location).exists() or Path(location).stat().st_size == 0:
        return None
    with Database.write(location) as db:
        return next(iter(runs.listing(db)), None)


def killed_at(location: str, what: str, number: int) -> None:
    """Trains until the `number`-th time that it does `what`, and dies in that moment."""
    counter = iter(range(number))

    def tick() -> None:
        if next(counter, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    if what == "transaction":  # before a statement, also the COMMIT, of a transaction that writes

        @event.listens_for(Engine, "before_cursor_execute")
        def before(connection: Connection, *_: Any) -> None:
            if connection.get_execution_options().get("immediate"):
                tick()

        event.listen(Engine, "commit", lambda _: tick())
    else:  # before or after a file of a checkpoint is written, flushed, renamed or removed, or a row of one
        for place, name in (
            (checkpoint, "save_file"),
            (checkpoint, "flush"),
            (checkpoint.shutil, "rmtree"),
            (Path, "rename"),
            (Path, "unlink"),
            (checkpoint.runs, "add_checkpoint"),
            (checkpoint.runs, "remove_checkpoint"),
        ):
            setattr(place, name, _ticking(getattr(place, name), tick))
    train(location)


def _ticking(function: Callable[..., Any], tick: Callable[[], None]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        tick()
        result = function(*arguments, **keywords)
        tick()
        return result

    return call


def torn(location: str, seed: int) -> None:
    """Dies halfway through the writing of a checkpoint's tensors: half of the file is there."""
    chance = random.Random(seed)
    original = checkpoint.save_file

    def save_half(tensors: Any, file: Path) -> None:
        original(tensors, file)
        if chance.random() < 0.2:
            os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_file = save_half  # type: ignore[assignment]
    train(location)


def small_files(location: str, bytes_: int) -> None:
    """No file may grow beyond this: what a full disk is like, where none can be had."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))
    train(location)


def as_nobody(location: str) -> None:
    """As a user who may read here but not write."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    train(location)


def little_memory(location: str, after: int) -> None:
    """From that step on, no further memory."""
    original = loop.Loop.advance

    def stepping(self: Any) -> None:
        if self.progress.step == after:
            raise MemoryError
        original(self)

    loop.Loop.advance = stepping  # type: ignore[method-assign]
    train(location)


def in_reverse(location: str) -> None:
    """The clock goes back by an hour with every look at it."""
    from store.records import recorder
    from store.schema import encoding

    clock = [0]

    def now() -> str:
        clock[0] += 1
        return f"2026-01-{28 - clock[0] // 24 % 28:02d}T{23 - clock[0] % 24:02d}:00:00.000000Z"

    for module in (encoding, recorder, runs):
        module.now = now  # type: ignore[attr-defined]
    train(location)


def endless(location: str, folder: str) -> None:
    """An evaluation that never ends."""
    os.chdir(folder)
    train(location, env="Endless-v0", steps=400, eval_every=200)


@contextlib.contextmanager
def _reported(counts: Any) -> Iterator[None]:
    """A failure is a result, too: nobody shall wait for another."""
    try:
        yield
    except BaseException as error:
        counts.put((repr(error), -1))
        raise


def write_episodes(location: str, ready: Any, start: Any, seconds: float, counts: Any) -> None:
    """A made-up run that records episodes and says how many; all such processes open the database at once."""
    ready.release()
    start.wait()
    deadline = time.monotonic() + seconds
    with _reported(counts), Database.write(location) as db:
        run_id = runs.create(db, run={"algo": "sac", "env": "e", "seed": os.getpid(), "steps": 1})
        recorder = Recorder(db, run_id)
        number = 0
        while number < 100 or time.monotonic() < deadline:
            for _ in range(20):
                recorder.episode(number, number + 1, float(number), 1, 0.0, False, True)
                number += 1
            recorder.progress(number, 0.1)
            time.sleep(0.1)
        recorder.close("completed")
        counts.put((run_id, number))


def read_often(location: str, start: Any, stop: Any, complaints: Any) -> None:
    """`dapo runs` and `dapo compare`, as typed, in a loop; whatever is not in order is put into `complaints`."""
    from dapo_cli.app import main

    start.wait()
    slowest, looks = 0.0, 0
    while not stop.is_set():
        for command in (["runs", "--json", "--db", location], ["compare", "--unfinished", "--db", location]):
            if not Path(location).exists():
                time.sleep(0.01)
                continue
            began = time.monotonic()
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(command)
            looks += 1
            slowest = max(slowest, time.monotonic() - began)
            # Before the creator, or the one who upgrades, is done there is nothing to read, which is said.
            expected = ("yet", "no run", "made by an older dapo")
            if code != 0 and not any(words in err.getvalue() for words in expected):
                complaints.put(f"{command[0]}: {code}: {err.getvalue()}")
    complaints.put((looks, slowest))
