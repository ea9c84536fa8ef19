"""Commands that are tried under faults of the disk: what they start from, and what must be true afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import disk
import harm
from witness import result

from store.integrity.checking import check
from store.records import runs
from store.session import Database

TRAIN = (
    "train --algo dapo-kl --env Pendulum-v1 --steps 160 --eval-every 80 --eval-episodes 1 --checkpoint-every 40 "
    "--compile off -q --set hidden_sizes=[8] --set batch_size=8 --set learning_starts=50 --set buffer_size=100 "
    "--set log_every=50 --set keep_replay=true"
).split()
NO_FAULT = disk.Fault()
COMMANDS = ("train", "resume", "merge", "backup", "delete")


@dataclass(frozen=True)
class Ended:
    """How a process ended: its code, its words, and what it did to the disk."""

    code: int | None
    said: str
    done: list[disk.Done]

    @property
    def errors(self) -> list[str]:
        """The lines that say what went wrong."""
        lines = self.said.splitlines()
        return [line for line in lines if line.startswith("dapo: ") and not line.startswith("dapo: warning: ")]


class Trials:
    """Folders as the commands find them, made once: `runs.db` with a run of seed 0, `other.db` with one of seed 1."""

    def __init__(self, forks: Any, home: Path) -> None:
        self._forks, self.home, self._number = forks, home, 0
        self.started = {name: home / f"start-{name}" for name in COMMANDS}
        for folder in self.started.values():
            folder.mkdir()
        resume, merge, backup, delete = (self.started[name] for name in COMMANDS[1:])
        self._start(harm.stopped, [*TRAIN, "--db", str(resume / "runs.db")], 100)
        self.ended([*TRAIN, "--db", str(merge / "runs.db")])
        self.ended([*TRAIN, "--seed", "1", "--db", str(merge / "other.db")])
        self.results = {0: result(str(merge / "runs.db")), 1: result(str(merge / "other.db"))}
        shutil.copytree(merge, backup, dirs_exist_ok=True)
        shutil.copytree(merge, delete, dirs_exist_ok=True)
        self.ended(["merge", "other.db", "--db", "runs.db"], delete)

    def ended(self, words: list[str], folder: Path | None = None, fault: disk.Fault = NO_FAULT) -> Ended:
        """A command in a process of its own, in a folder, with a fault."""
        self._number += 1
        said = self.home / f"said-{self._number}"
        if folder is not None:
            words = [str(folder / word) if word.endswith(".db") else word for word in words]
        code = self._start(harm.command, words, str(folder or ""), fault, str(said))
        journal = Path(f"{said}.journal")
        return Ended(code, said.read_text(), disk.read(journal) if journal.exists() else [])

    def fresh(self, name: str, folder: Path) -> Path:
        """A copy of the folder from which a command starts."""
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.started[name], folder))

    def words(self, name: str, folder: Path) -> list[str]:
        """The command as it is typed to begin with, and again after it failed."""
        if name in ("train", "resume"):
            run = _run(folder / "runs.db", 0)
            if run is None:
                return [*TRAIN, "--db", "runs.db"]
            return ["resume", run["id"], "-q", "--db", "runs.db"]
        if name == "merge":
            return ["merge", "other.db", "--db", "runs.db"]
        if name == "backup":
            return ["db", "backup", "copy.db", "--db", "runs.db"]
        run = _run(self.started["delete"] / "runs.db", 1)
        assert run is not None
        return ["delete", run["id"], "--yes", "--db", "runs.db"]

    def done(self, name: str, folder: Path) -> bool:
        """Whether what the command is for has come about, whole. AssertionError where something is not true."""
        present = self.true(folder)
        if name in ("train", "resume"):
            return present.get("runs.db", {}).get(0) == "completed"
        assert present["runs.db"].get(0) == "completed"
        if name == "merge":
            return 1 in present["runs.db"]
        if name == "backup":
            return "copy.db" in present
        return 1 not in present["runs.db"]

    def true(self, folder: Path) -> dict[str, dict[int, str]]:
        """The statuses of the runs by seed, in each database. A completed run is whole, and none seems to train."""
        found: dict[str, dict[int, str]] = {}
        for path in sorted(folder.glob("*.db")):
            found[path.name] = {}
            if path.stat().st_size == 0:
                continue
            with Database(str(path), writable=False) as db:
                if db.revision() is None:
                    continue
            problems = check(str(path)).problems
            assert problems == [], problems
            with Database.read(str(path)) as db:
                rows = runs.listing(db)
            for row in rows:
                found[path.name][row["seed"]] = row["status"]
                assert row["status"] != "running", row
                if row["status"] == "completed":
                    assert result(str(path), row["id"]) == self.results[row["seed"]], "it came out differently"
        return found

    def _start(self, function: Callable[..., None], *arguments: Any) -> int | None:
        process = self._forks.Process(target=function, args=arguments, daemon=True)
        process.start()
        process.join(300)
        code: int | None = process.exitcode
        return code


def _run(path: Path, seed: int) -> dict[str, Any] | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    with Database.write(str(path)) as db:
        found = [run for run in runs.listing(db) if run["seed"] == seed]
    return found[0] if found else None
