"""dapo sweep as it is typed: planned, queued, enlarged, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from store.queue import sweeps
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

TINY = "--env Pendulum-v1 --steps 300 --set hidden_sizes=[16,16] --set learning_starts=100 --set batch_size=16".split()
GRID = ["--algo", "dapo-kl,sac", *TINY, "--set", "dapo-kl.beta=0.1,0.5", "--name", "main"]


@pytest.fixture
def finish(results):
    """Ends every waiting run of the database as completed, with a return and 100 steps a second."""

    def all_runs() -> None:
        for run in runs.listing(results):
            if run["status"] == "queued":
                recorder = Recorder(results, run["id"])
                recorder.evaluation(run["steps"], "mean", 0, 1.0 + run["seed"], 1)
                recorder.progress(run["steps"], run["steps"] / 100)
                recorder.close("completed")

    return all_runs


def test_a_dry_run_shows_the_grid_and_writes_nothing(dapo, tmp_path):
    outcome = dapo("sweep", *GRID, "--seeds", "3", "--dry-run", "--jobs", "4")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()[2:]]
    assert rows == [
        ["dapo-kl", "Pendulum-v1", "0.1", "0-2", "3", "to", "make", "–"],
        ["dapo-kl", "Pendulum-v1", "0.5", "0-2", "3", "to", "make", "–"],
        ["sac", "Pendulum-v1", "0-2", "3", "to", "make", "–"],
    ]
    assert "sweep main: 9 runs, 9 to make; 2.7k environment steps to go" in outcome.err
    assert "no speed is known" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_counts_and_gives_the_speed(dapo, finish, results):
    assert dapo("sweep", *GRID, "--seeds", "2", "--enqueue").code == 0
    finish()
    outcome = dapo("sweep", *GRID, "--seeds", "4", "--dry-run", "--json", "--jobs", "2")
    plan = json.loads(outcome.out)
    assert len(plan["runs"]) == 12
    assert [row["status"] for row in plan["runs"]] == ["completed"] * 6 + [None] * 6
    assert [row.get("beta") for row in plan["runs"][:3]] == [0.1, 0.5, None]
    assert plan["seconds"] == pytest.approx(9.0)  # 6 runs of 3 s, two at a time
    assert plan["runs_of_unknown_speed"] == 0
    assert plan["bytes"] is None  # a copy of the database alone says nothing about files
    for run in runs.listing(results):
        results.run_folder(run["id"]).mkdir(parents=True, exist_ok=True)
        (results.run_folder(run["id"]) / "checkpoint").write_bytes(b"x" * 10_000_000)
    command = ["sweep", *GRID, "--seeds", "4", "--dry-run", "--json"]
    assert 60_000_000 < json.loads(dapo(*command).out)["bytes"] < 61_000_000
    assert json.loads(dapo(*command, "--set", "keep_replay=true", "--name", "y").out)["bytes"] is None
    longer = json.loads(dapo("sweep", *GRID, "--steps", "600", "--name", "x", "--dry-run", "--json").out)
    per_step = 3.0 / (200 + 300 / 30)  # of 300 steps 200 are updates, and a step costs a thirtieth of one
    assert longer["seconds"] == pytest.approx(per_step * (500 + 600 / 30) * 15 / 2, rel=0.2)
    other = json.loads(dapo("sweep", *GRID, "--set", "layer_norm=true", "--name", "y", "--dry-run", "--json").out)
    assert other["seconds"] > 0  # by runs of other sizes
    unknown = json.loads(dapo("sweep", "--algo", "ampo", *TINY, "--name", "z", "--dry-run", "--json").out)
    assert (unknown["seconds"], unknown["runs_of_unknown_speed"], unknown["bytes"]) == (None, 5, None)


def test_an_enlarged_sweep_adds_the_new_runs_and_a_smaller_one_takes_none_away(dapo, refused, results):
    assert "6 runs (6 new)" in dapo("sweep", *GRID, "--seeds", "2", "--enqueue").err
    assert "9 runs (3 new, 6 known)" in dapo("sweep", *GRID, "--seeds", "3", "--enqueue").err
    smaller = dapo("sweep", *GRID, "--seeds", "1", "--enqueue")
    assert "3 runs (3 known)" in smaller.err
    assert "6 runs of the sweep, which it no longer names, stay in it" in smaller.err
    (sweep,) = sweeps.listing(results)
    assert sweep["definition"]["layers"][-1]["content"]["seeds"] == "3"
    assert runs.count(results) == 9
    line = refused("sweep", *GRID, "--steps", "500", "--enqueue")
    assert "there is another sweep 'main': 9 of its runs are not in this one (such as " in line
    assert runs.count(results) == 9


def test_two_sweeps_share_a_run(dapo, results):
    assert dapo("sweep", *GRID, "--seeds", "2", "--enqueue").code == 0
    shared = dapo("sweep", "--algo", "sac", *TINY, "--seeds", "3", "--name", "other", "--enqueue", "--json")
    assert "3 runs (1 new, 2 shared with others)" in shared.err
    assert len(json.loads(shared.out)["added"]) == 1
    assert runs.count(results) == 7
    again = dapo("sweep", "--algo", "sac", *TINY, "--seeds", "1", "--name", "anew", "--enqueue", "--again")
    assert "1 run (1 new)" in again.err


def test_a_queued_run_is_the_run_that_train_would_make(dapo, results):
    assert dapo("sweep", "--algo", "sac", *TINY, "--seeds", "1", "--name", "a", "--tag", "x", "--enqueue").code == 0
    (run,) = runs.listing(results)
    queued = {row["name"]: (row["value"], row["origin"]) for row in runs.hyperparameters(results, run["id"])}
    trained = json.loads(dapo("train", "--algo", "sac", *TINY, "--dry-run", "--json").out)
    assert queued == {row["name"]: (row["value"], row["origin"]) for row in trained["values"]}
    assert (run["status"], run["kind"], run["tags"], run["seed"], run["steps"]) == ("queued", "train", ["x"], 0, 300)


def test_a_file_and_what_is_typed_beside_it(dapo, refused, tmp_path):
    Path("mine.toml").write_text(
        'algo = "dapo-kl"\nenv = "Pendulum-v1"\nseeds = "0-1"\nsteps = 3e2\ntuning = true\n'
        "[[vary]]\nbeta = [0.1, 0.2]\n"
    )
    plan = json.loads(dapo("sweep", "run", "mine.toml", "--dry-run", "--json", "--set", "m=5").out)
    assert (plan["sweep"], len(plan["runs"]), plan["runs"][0]["steps"]) == ("mine", 4, 300)
    assert dapo("sweep", "run", "mine.toml", "--enqueue").code == 0
    with Database.read(str(tmp_path / "runs.db")) as database:
        assert {run["kind"] for run in runs.listing(database)} == {"tuning"}
    assert "cannot read none.toml" in refused("sweep", "run", "none.toml")


def test_bad_input_is_one_line_and_nothing_is_written(dapo, refused, tmp_path):
    assert "needs a name" in refused("sweep", "--algo", "sac", "--env", "Pendulum-v1")
    assert "sac has no beta" in refused("sweep", *GRID, "--set", "beta=0.3")
    assert "write options after run" in refused("sweep", "--algo", "sac", "run", "x.toml")
    assert "unknown environment" in refused("sweep", "--algo", "sac", "--env", "Pendulum", "--name", "x")
    assert "is true of no run" in refused("sweep", *GRID, "--exclude", "m = 3")
    assert "no such command" in refused("sweep", "rum")
    assert dapo("sweep").out.startswith("Usage: dapo sweep")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_is_trained_and_typed_again_has_nothing_to_do(dapo, results):
    outcome = dapo("sweep", *GRID, "--seeds", "1", "--set", "eval_episodes=1", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out) == {"sweep": "main", "states": {"completed": 3}, "ended": {"completed": 3}}
    again = dapo("sweep", *GRID, "--seeds", "1", "--set", "eval_episodes=1")
    assert (again.code, "3 runs (3 known)" in again.err) == (0, True)
    assert "sweep main: 3 runs, 3 completed" in again.err
    assert runs.count(results) == 3


def test_a_sweep_is_renamed(dapo, refused, results):
    assert dapo("sweep", *GRID, "--seeds", "1", "--enqueue").code == 0
    assert dapo("sweep", *GRID[:-1], "other one", "--seeds", "1", "--enqueue").code == 0
    assert (
        refused("sweep", "rename", "main", "other one") == "there is a sweep 'other one' already: choose another name"
    )
    assert refused("sweep", "rename", "main", " ") == "a sweep has a name: dapo sweep rename main main"
    assert refused("sweep", "rename", "mian", "x").startswith("there is no sweep 'mian'")
    outcome = dapo("sweep", "rename", "main", "paper")
    assert (outcome.code, outcome.err) == (0, "sweep main is called paper now\n")
    assert sorted(sweep["name"] for sweep in sweeps.listing(results)) == ["other one", "paper"]
    assert dapo("sweep", "top-up", "paper", "--seeds", "2").err.startswith("3 new runs, 0 shared")
