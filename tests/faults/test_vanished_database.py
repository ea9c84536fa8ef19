"""The database's file is taken away from under a run: the run stops in good order, and comes back to the same bits."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import vanishing
from witness import result, run_to_its_end

from dapo_cli.app import main
from store.integrity import checking
from store.records import runs
from store.session import Database

AT = 333  # amid an episode and between two checkpoints


def stopped(in_a_process, witness, how: str, step: int = AT) -> str:
    """What a run says that stops because of this."""
    process = in_a_process(vanishing.train, witness.location, how, step)
    process.join(120)
    assert process.exitcode == 2
    line = Path(f"{witness.location}.said").read_text()
    assert "\n" not in line
    return line


def bring_back(line: str) -> None:
    """Type what the line says."""
    command = line.partition("bring them back with: ")[2].partition(";")[0]
    assert main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("removed with its files", "runs.db was removed or renamed"),
        ("replaced", "runs.db was replaced by another file"),
        *(
            pytest.param(how, what, marks=pytest.mark.slow)
            for how, what in (
                ("removed", "runs.db was removed or renamed"),
                ("the log removed", "runs.db-wal was removed or renamed"),
                ("renamed", "runs.db was removed or renamed"),
                ("the database alone renamed", "runs.db was removed or renamed"),
                ("the index removed", "runs.db-shm was removed or renamed"),
            )
        ),
    ],
)
def test_the_run_stops_and_comes_back_to_the_same_bits(in_a_process, witness, undisturbed, how, what):
    line = stopped(in_a_process, witness, how)
    assert line.startswith(what)
    assert "server" not in line
    bring_back(line)
    with Database.read(witness.location) as db:
        (run,) = runs.listing(db)
        assert run["status"] == "interrupted"
        assert runs.checkpoints(db, run["id"])[0]["step"] >= AT  # of the moment in which it stopped
        assert line.endswith(f"; then continue with: dapo resume {run['id'][:6]} --db {witness.location}")
    run_to_its_end(in_a_process, witness.location)
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed
    assert checking.check(witness.location).problems == []


@pytest.mark.slow
def test_the_copy_can_be_used_as_it_is(in_a_process, witness, undisturbed):
    line = stopped(in_a_process, witness, "removed with its files")
    copy = line.partition("all rows are in ")[2].partition(":")[0]
    assert checking.check(copy).problems == []
    assert not Path(witness.location).exists()
    run_to_its_end(in_a_process, copy)
    assert result(copy) == undisturbed


@pytest.mark.slow
def test_without_the_folder_the_copy_is_in_the_working_folder(in_a_process, tmp_path, undisturbed):
    """The run's working folder is the only one that is left."""
    place = tmp_path / "place"
    place.mkdir()
    process = in_a_process(vanishing.train, str(place / "runs.db"), "its folder renamed", AT)
    process.join(120)
    assert process.exitcode == 2
    (copy,) = (path for path in tmp_path.glob("runs.db.rescued-*") if path.is_file())
    run_to_its_end(in_a_process, str(copy))
    assert result(str(copy)) == undisturbed


@pytest.mark.slow
def test_a_run_whose_last_steps_nobody_would_have_found_is_whole(in_a_process, witness, undisturbed):
    line = stopped(in_a_process, witness, "removed", 499)
    bring_back(line)
    run_to_its_end(in_a_process, witness.location)
    assert result(witness.location) == undisturbed


@pytest.mark.slow
def test_what_replaced_the_database_is_left_as_it_is(in_a_process, witness):
    stopped(in_a_process, witness, "replaced")
    with closing(sqlite3.connect(witness.location)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
