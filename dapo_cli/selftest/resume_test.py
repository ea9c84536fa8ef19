"""Proves that a run which is killed and resumed is, bit for bit, the run that never was: in processes of its own."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from algorithms import on_policy
from dapo_cli.configuration.run_configuration import load_algorithm
from dapo_cli.errors import BadInput, RunFailed
from dapo_cli.selftest.contents import contents
from store.records import runs
from store.session import Database

LEARNING_STARTS = 500  # at most; all other hyperparameters are those of a real run
ROLLOUT_STEPS = 64  # of an on-policy algorithm
STEPS_PER_KILL = 50  # at least, so that there is something between two checkpoints


class Kill(NamedTuple):
    """Where a SIGKILL hit: the run's step, the steps of the episode that was open, and the checkpoint gone back to."""

    step: int
    into_episode: int
    resumed_from: int


class Certificate(NamedTuple):
    """What was compared on which machine, and whether it was the same."""

    identical: bool
    differences: list[str]  # the kinds of things that differ
    run: dict[str, Any]
    machine: dict[str, Any]
    kills: list[Kill]
    undisturbed: dict[str, Any]  # kind of thing -> number and SHA-256
    resumed: dict[str, Any]


def prove_resume(
    algo: str,
    env: str,
    steps: int,
    kills: int,
    *,
    seed: int = 0,
    options: tuple[str, ...] = (),
    tell: Callable[[str], None] = lambda _: None,
    flip: str = "-",
) -> Certificate:
    """Trains once undisturbed and once with `kills` SIGKILLs, each amid an episode and after learning has started.

    Everything happens in a temporary folder, every session in a new process. `options` are those of `dapo train`;
    `flip` names a tensor to damage (see `child`), for the test of this test. BadInput; RunFailed if training fails.
    """
    if kills < 1 or steps < STEPS_PER_KILL * (kills + 1):
        raise BadInput(
            f"--steps {steps} is too little for --kills {kills}: "
            f"give at least one kill, and {STEPS_PER_KILL} steps for each and for the end"
        )
    starts = min(LEARNING_STARTS, steps // 4)
    short = {"learning_starts": starts}
    if on_policy(load_algorithm(algo)):
        starts = ROLLOUT_STEPS
        short = {"rollout_steps": starts}
    every = (steps - starts) // (3 * (kills + 1)) | 1  # odd, so that checkpoints fall amid episodes of even length
    module = env.rpartition(":")[0]
    with tempfile.TemporaryDirectory(prefix="dapo-selftest-") as folder:
        typed = [
            "train",
            "--algo",
            algo,
            "--env",
            env,
            "--steps",
            str(steps),
            "--seed",
            str(seed),
            "--eval-episodes",
            "1",
        ]
        typed += ["--eval-every", str(max(1, steps // 3)), "--checkpoint-every", str(every), *options]
        typed += [f"--set={name}={value}" for name, value in short.items()]
        typed += [f"--set=log_every={max(1, steps // 10)}", "--set=keep_replay=true"]
        tell(f"the undisturbed run: {algo} on {env}, {steps} steps")
        whole = _Session(folder, "undisturbed.db")
        whole.run(typed)
        killed = _Session(folder, "killed.db")
        places = _places(starts + 1, steps, kills, seed)
        hits = []
        for number, place in enumerate(places):
            command = ["resume", killed.run_id(), *_allow(module)] if number else typed
            hits.append(killed.run(command, place))
            tell(f"killed at step {hits[-1][0]}, {hits[-1][1]} steps into an episode ({number + 1} of {kills})")
        killed.run(["resume", killed.run_id(), *_allow(module)], flip=flip)
        undisturbed, run, _ = whole.result()
        resumed, after, sessions = killed.result()
    differences = [kind for kind in undisturbed if undisturbed[kind] != resumed[kind]]
    if after["exactness"] != "exact":
        differences.append("exactness")
    columns = ("algo", "env", "seed", "steps", "device", "threads", "compiled", "backend")
    settings = {**short, "checkpoint_every": every}
    return Certificate(
        identical=not differences,
        differences=differences,
        run={name: run[name] for name in columns} | settings,
        machine={"processor": run["processor"], **run["versions"]},
        kills=[Kill(*hit, step) for hit, step in zip(hits, sessions, strict=True)],
        undisturbed={kind: hash_._asdict() for kind, hash_ in undisturbed.items()},
        resumed={kind: hash_._asdict() for kind, hash_ in resumed.items()},
    )


def _places(start: int, stop: int, kills: int, seed: int) -> list[int]:
    """One step in each of `kills` equal parts of start … stop, the last of which leaves some steps to the end."""
    chance = random.Random(seed)
    part = (stop - start) / (kills + 1)
    return [int(start + part * (number + 0.4 + 0.5 * chance.random())) for number in range(kills)]


def _allow(module: str) -> list[str]:
    return ["--import", module] if module else []


class _Session:
    """A database in the temporary folder, and the commands that are run on it."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder, self._location = folder, str(Path(folder) / name)

    def run(self, command: list[str], kill_at: int = 0, flip: str = "-") -> tuple[int, int]:
        """Runs one dapo command; where it was killed, the step and the steps into the episode, else zeros."""
        child = [sys.executable, "-P", "-m", "dapo_cli.selftest.killed_run", str(kill_at), flip]
        done = subprocess.run(
            [*child, *command, "--db", self._location, "-q"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != (-signal.SIGKILL if kill_at else 0):
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].removeprefix("dapo: ")
            if kill_at and done.returncode == 0:
                last = f"no episode was open between step {kill_at} and the end: give more --steps"
            raise BadInput(last) if done.returncode in (0, 2) else RunFailed(f"training failed: {last}")
        line = done.stdout.strip().splitlines()[-1].split() if kill_at else ["", "0", "0"]
        return int(line[1]), int(line[2])

    def run_id(self) -> str:
        with Database.read(self._location) as db:
            return str(runs.listing(db)[0]["id"])

    def result(self) -> tuple[dict[str, Any], dict[str, Any], list[int]]:
        """The run's contents, its columns, and the steps from which it was resumed."""
        with Database.read(self._location) as db:
            run = runs.listing(db)[0]
            steps = [event["step"] for event in runs.events(db, run["id"]) if event["kind"] == "resumed"]
            return contents(db, run["id"]), run, steps
