"""Each operation on the disk fails in its turn, once and for good: one line, a true record, and a repeat succeeds."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from disk import KINDS, Fault, spread
from tried import COMMANDS, Trials

from dapo_cli.errors import DapoError
from store.errors import StoreError

POSITIONS = int(os.environ.get("FAULT_POSITIONS", "1"))  # of each kind of operation and failure; `make torture`: all
FAILURES = {"once": (False, errno.EIO), "for good": (True, errno.EIO), "full": (True, errno.ENOSPC)}
# What each command does to the disk, so that none of it can silently stop being tried.
DOES = {
    "train": set(KINDS) - {"link"},
    "resume": set(KINDS) - {"link"},
    "merge": set(KINDS),
    "backup": set(KINDS) - {"link"},
    "delete": set(KINDS) - {"link", "mkdir", "rename"},
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", COMMANDS)
def test_it_fails_in_one_line_and_can_be_repeated(trials: Trials, tmp_path: Path, name: str, failure: str):
    place = tmp_path / "tried"
    untouched = trials.ended(trials.words(name, trials.fresh(name, place)), place)
    assert untouched.code == 0, untouched.said
    assert trials.done(name, place)
    does = Counter(done.kind for done in untouched.done)
    assert set(does) == DOES[name]
    forever, error = FAILURES[failure]
    fired: Counter[str] = Counter()
    wrong: list[str] = []
    for kind, count in does.items():
        for number in spread(count, POSITIONS, shift=list(FAILURES).index(failure) / len(FAILURES)):
            words = trials.words(name, trials.fresh(name, place))
            ended = trials.ended(words, place, Fault(kind, number, forever, error))
            failed = [done.kind for done in ended.done if done.failed]
            fired.update(failed[:1])
            try:
                assert ended.code in ((0, 1, 2) if failed else (0,))
                assert len(ended.errors) == (0 if ended.code == 0 else 1)
                assert "Traceback" not in ended.said
                if not trials.done(name, place):
                    assert ended.code != 0, "it said that it was done"
                    again = trials.ended(trials.words(name, place), place)
                    assert again.code == 0, again.said
                    assert trials.done(name, place)
            except (AssertionError, DapoError, StoreError) as what:
                how = f"{kind} {number} of {count}: {ended.code}: {ended.said}"
                wrong.append(f"{how}: {type(what).__name__}: {what}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    assert set(fired) == DOES[name]
