"""`dapo resume --all` as a user types it."""

from __future__ import annotations

import json
import sqlite3

import pytest

from dapo_cli.errors import Interrupted
from dapo_cli.training import loop, session


@pytest.fixture
def three(dapo, trained_run, monkeypatch) -> list[str]:
    """A completed run and two interrupted ones, the ids of which are returned; the first was stopped by a signal."""
    ids = []
    tiny = "--checkpoint-every 200 --set hidden_sizes=[16,16] --set batch_size=8 --set learning_starts=100 -q"
    for seed in (1, 2):
        with monkeypatch.context() as patch:
            original = loop.Loop.advance

            def stop(self, original=original):
                original(self)
                if self.progress.step == 250:
                    self.stop.requested = 2

            patch.setattr(loop.Loop, "advance", stop)
            typed = f"train --algo dapo-kl --env Pendulum-v1 --steps 300 --eval-episodes 1 --seed {seed} {tiny}"
            assert dapo(*typed.split()).code == 130
        with sqlite3.connect("runs.db") as connection:
            (row,) = connection.execute("SELECT id FROM run WHERE seed = ?", [seed])
        ids.append(row[0])
    return ids


def test_all_that_is_interrupted_is_continued(dapo, three):
    outcome = dapo("resume", "--all", "--json")
    assert outcome.code == 0
    assert "2 interrupted runs to continue" in outcome.err
    assert [(row["id"], row["result"]) for row in json.loads(outcome.out)] == [(id_, "completed") for id_ in three]
    again = dapo("resume", "--all")
    assert (again.code, again.out) == (0, "")
    assert "0 interrupted runs" in again.err


def test_one_that_cannot_be_continued_does_not_keep_the_others_from_it(dapo, three):
    with sqlite3.connect("runs.db") as connection:
        connection.execute("UPDATE run SET env = 'mine:Pendulum-v1' WHERE id = ?", three[:1])
        connection.execute(
            "UPDATE hyperparameter SET value = 'mine:Pendulum-v1' WHERE name = 'env' AND run_id = ?", three[:1]
        )
    connection.close()
    outcome = dapo("resume", "--all")
    assert outcome.code == 1
    assert "add --import mine" in outcome.err
    assert [line.split()[-1] for line in outcome.out.splitlines()[2:]] == ["alone", "completed"]


def test_ctrl_c_ends_it_with_a_summary(dapo, three, monkeypatch):
    def interrupted(*_):
        raise Interrupted

    monkeypatch.setattr(session, "resume", interrupted)
    outcome = dapo("resume", "--all")
    assert outcome.code == 130
    assert outcome.out.count("still interrupted") == 2


def test_a_run_or_all(refused):
    assert "or --all" in refused("resume")
    assert "or --all" in refused("resume", "abc", "--all")
