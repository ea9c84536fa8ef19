"""The power fails: writes and names that were not brought to the disk are lost, and nothing that was promised is."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from disk import Disk, spread
from tried import COMMANDS, Trials

from dapo_cli.errors import DapoError
from store.errors import StoreError
from store.records import runs
from store.session import Database

MOMENTS = 9 * int(os.environ.get("FAULT_POSITIONS", "1"))  # of each command; `make torture`: after every operation
LEFT = ("synced", "names", "some")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_left_is_true_and_the_command_can_be_repeated(trials: Trials, tmp_path: Path, name: str):
    place, left, whole = tmp_path / "tried", tmp_path / "left", tmp_path / "whole"
    words = trials.words(name, trials.fresh(name, place))
    disk, chance = Disk(place), random.Random(name)
    ended = trials.ended(words, place)
    assert ended.code == 0, ended.said
    before, wrong = 0, []
    for moment in sorted({*spread(len(ended.done), MOMENTS), len(ended.done)}):
        disk.do(ended.done[before:moment])
        before = moment
        last = moment == len(ended.done)
        for how in LEFT if last else (LEFT[moment % 3],):
            _cut(disk, whole, left, how, chance)
            if last:
                assert _contents(whole) == _contents(place)  # the journal is complete
            try:
                trials.true(left)
                if name in ("train", "resume"):
                    assert _checkpoints(left) >= _checkpoints(whole) - 1, "a checkpoint is gone that was complete"
                if last:
                    assert trials.done(name, left), "it said that it was done"
                else:
                    again = trials.ended(trials.words(name, left), left) if not trials.done(name, left) else ended
                    assert again.code == 0, again.said
                    assert trials.done(name, left)
            except (AssertionError, DapoError, StoreError) as what:
                wrong.append(f"{moment} of {len(ended.done)}, {how}: {type(what).__name__}: {what}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def _cut(disk: Disk, whole: Path, left: Path, how: str, chance: random.Random) -> None:
    """What is there at this moment, and what is left of it."""
    for folder, kept in ((whole, "all"), (left, how)):
        shutil.rmtree(folder, ignore_errors=True)
        disk.after_power_failure(folder, kept, chance)


def _checkpoints(folder: Path) -> int:
    """How many the run has made."""
    path = folder / "runs.db"
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with Database(str(path), writable=False) as db:
        if db.revision() is None:
            return 0
        steps = [row["step"] for run in runs.listing(db) for row in runs.checkpoints(db, run["id"])]
    return max(steps, default=0) // 40


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.name.endswith("-shm")
    }
