"""One run, killed again and again, is the run that never was; and whoever read it in between never saw a row vanish."""

from __future__ import annotations

import random
from pathlib import Path

import harm
import pytest
from witness import Witness, result, run_to_its_end


def kill_until_done(start, witness: Witness, seed: int, kills: int, longest: float) -> int:
    """Kills a run at random moments, and at random points of a transaction or of a checkpoint; how often it hit."""
    chance, hits = random.Random(seed), 0
    for _ in range(kills):
        how = chance.choice(["moment", "transaction", "checkpoint", "torn"])
        if how == "moment":
            process = start(harm.train, witness.location)
            witness.watch(process, chance.uniform(0.05, longest))
            process.kill()
        elif how == "torn":
            process = start(harm.torn, witness.location, chance.randrange(1000))
            witness.watch(process, 300)
        else:
            process = start(harm.killed_at, witness.location, how, chance.randrange(60))
            witness.watch(process, 300)
        process.join(300)
        hits += process.exitcode == -9
        assert process.exitcode in (0, -9)
        status = witness.check() if Path(witness.location).exists() else "none"
        assert status in (("completed",) if process.exitcode == 0 else ("interrupted", "completed", "none"))
    return hits


def test_a_few_kills(in_a_process, witness, undisturbed):
    assert kill_until_done(in_a_process, witness, 1, 5, 0.6) >= 3
    run_to_its_end(in_a_process, witness.location)
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed


@pytest.mark.parametrize(("what", "number"), [("transaction", 14), ("checkpoint", 8), ("checkpoint", 21)])
def test_a_kill_inside(in_a_process, witness, undisturbed, what, number):
    process = in_a_process(harm.killed_at, witness.location, what, number)
    process.join(300)
    assert process.exitcode == -9
    run_to_its_end(in_a_process, witness.location)
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed


@pytest.mark.slow
def test_sixty_kills_of_one_run(in_a_process, witness, tmp_path):
    steps, whole = 12_000, str(tmp_path / "whole.db")
    for location in (whole, witness.location):
        process = in_a_process(harm.long, location, steps)
        if location == whole:
            process.join(300)
        else:
            witness.watch(process, 1.0)
            process.kill()
            process.join()
    chance, hits = random.Random(0), 1
    while hits < 60:
        hits += kill_until_done(in_a_process, witness, chance.randrange(10**9), 1, 0.5)
        assert witness.check() == "interrupted", f"done after {hits} kills: give it more steps"
    run_to_its_end(in_a_process, witness.location, 300)
    assert witness.check() == "completed"
    assert result(witness.location) == result(whole)
