"""Each operation on the disk fails in its turn, once and for good: one line, a true record, and a repeat succeeds."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from disk import KINDS, spread
from tried import COMMANDS, Trials

from dapo_cli.errors import DapoError
from store.errors import StoreError

POSITIONS = int(os.environ.get("FAULT_POSITIONS", "12"))  # of each command and kind of failure; `make torture`: all
FAILURES = {"once": (False, errno.EIO), "for good": (True, errno.EIO), "full": (True, errno.ENOSPC)}
# What each command does to the disk, so that none of it can silently stop being tried.
DOES = {
    "train": set(KINDS) - {"link"},
    "resume": set(KINDS) - {"link"},
    "merge": set(KINDS),
    "backup": set(KINDS) - {"link"},
    "delete": set(KINDS) - {"link", "mkdir"},
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", COMMANDS)
def test_it_fails_in_one_line_and_can_be_repeated(trials: Trials, tmp_path: Path, name: str, failure: str):
    place = tmp_path / "tried"
    untouched = trials.ended(trials.words(name, trials.fresh(name, place)), place)
    assert untouched.code == 0, untouched.said
    assert trials.done(name, place)
    assert {done.kind for done in untouched.done} >= DOES[name]
    forever, error = FAILURES[failure]
    fired: Counter[str] = Counter()
    wrong: list[str] = []
    for number in spread(len(untouched.done) + 10, POSITIONS):
        words = trials.words(name, trials.fresh(name, place))
        ended = trials.ended(words, place, number, forever, error)
        failed = [done.kind for done in ended.done if done.failed]
        fired.update(failed[:1])
        try:
            assert ended.code in ((0, 1, 2) if failed else (0,))
            assert len(ended.errors) == (0 if ended.code == 0 else 1)
            assert "Traceback" not in ended.said
            assert trials.done(name, place) or ended.code, "it said that it was done"
            if not trials.done(name, place):
                again = trials.ended(trials.words(name, place), place)
                assert again.code == 0, again.said
                assert trials.done(name, place)
        except (AssertionError, DapoError, StoreError) as what:
            wrong.append(f"{number}, {failed[:1]}: {ended.code}: {ended.said}: {type(what).__name__}: {what}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    assert sum(fired.values()) > 0
    if len(untouched.done) < POSITIONS:
        assert set(fired) >= DOES[name]
