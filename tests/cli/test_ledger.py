"""`dapo ledger`: what was tried, counted as a reader of the paper would."""

from __future__ import annotations

import json
from typing import Any

import pytest

from store.records import runs

SETTINGS = {"beta": 0.5, "m": 10, "log_every": 1000, "eval_every": 10, "threads": 1, "steps": 1000}


@pytest.fixture
def tried(record_run):
    """Records a run of DAPO-KL with SETTINGS and these changes."""

    def record(changes: dict[str, object] | None = None, **keywords: object) -> str:
        return record_run("dapo-kl", settings=SETTINGS | (changes or {}), **keywords)

    return record


def book(dapo, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(dapo("ledger", "--json", *arguments).out)


def test_configurations_are_counted_and_not_runs(dapo, tried, record_run):
    tried()
    tried(seed=1)
    tried({"log_every": 5, "eval_every": 3, "threads": 8, "steps": 2000, "keep_replay": True}, seed=2)
    tried({"beta": 0.1}, kind="tuning")
    tried({"beta": 0.1, "m": 5}, kind="tuning", status="failed", reason="no space")
    tried({"beta": 0.9}, env="Hopper-v4")
    record_run(settings={"beta": 7.0})
    entry, other = book(dapo)
    assert (entry["algo"], entry["configurations"], entry["runs"]) == ("dapo-kl", 4, 6)
    assert (entry["tuning"], entry["reporting"], entry["steps"]) == (2, 4, 5400)
    assert entry["states"] == {"completed": 5, "failed": 1}
    counts = [(row["env"], row["configurations"], row["runs"]) for row in entry["environments"]]
    assert counts == [("HalfCheetah-v4", 3, 5), ("Hopper-v4", 1, 1)]
    assert entry["varied"] == [
        {
            "name": "beta",
            "symbol": None,
            "values": [{"value": 0.1, "runs": 2}, {"value": 0.5, "runs": 3}, {"value": 0.9, "runs": 1}],
        },
        {"name": "m", "symbol": None, "values": [{"value": 5, "runs": 1}, {"value": 10, "runs": 5}]},
    ]
    assert (other["algo"], other["configurations"], other["varied"]) == ("sac", 1, [])
    assert entry["words"] == (
        "dapo-kl: 4 configurations (beta: 0.1, 0.5, 0.9; m: 5, 10) in 6 runs (2 for tuning, 4 for reporting) on "
        "2 environments, 5.4k environment steps in all."
    )
    assert other["words"] == (
        "sac: 1 configuration in 1 run (0 for tuning, 1 for reporting) on HalfCheetah-v4, 1k environment steps in all."
    )


def test_a_default_that_the_environment_determines_was_not_varied(dapo, tried):
    for env, entropy in (("HalfCheetah-v4", -6.0), ("Hopper-v4", -3.0)):
        for seed in range(2):
            tried({"target_entropy": entropy}, env=env, seed=seed)
    (entry,) = book(dapo)
    assert (entry["configurations"], entry["varied"]) == (1, [])


def test_what_somebody_set_by_environment_was_varied(dapo, results):
    for env, beta in (("HalfCheetah-v4", 0.5), ("Hopper-v4", 0.1)):
        setting = {"name": "beta", "value": beta, "origin": "command line", "symbol": "β"}
        run = {"algo": "dapo-kl", "env": env, "seed": 0, "steps": 10}
        runs.create(results, run={**run, "status": "completed"}, hyperparameters=[setting])
    (entry,) = book(dapo)
    assert entry["configurations"] == 2
    assert entry["words"].startswith("dapo-kl: 2 configurations (β: 0.1, 0.5) in 2 runs")


def test_many_values_are_a_range(dapo, tried):
    for index in range(9):
        tried({"beta": index / 10})
    (entry,) = book(dapo)
    assert "(beta: 9 values from 0.0 to 0.8)" in entry["words"]


def test_on_the_screen_and_filtered(dapo, tried):
    tried()
    tried({"beta": 0.1})
    tried({"beta": 0.1, "activation": "\x1b[31m"}, env="Hopper-v4", kind="tuning")
    outcome = dapo("ledger")
    lines = outcome.out.splitlines()
    assert lines[2].split() == ["dapo-kl", "HalfCheetah-v4", "2", "2", "0", "2", "2k", "2", "completed"]
    assert lines[4].split() == ["dapo-kl", "all", "3", "3", "1", "2", "3k", "3", "completed"]
    assert "0.1 (2)  0.5 (1)" in outcome.out
    assert "\x1b" not in outcome.out
    assert lines[-1].startswith("dapo-kl: 3 configurations (activation: ")
    assert "in 1 run (1 for tuning" in dapo("ledger", "--where", "kind = tuning").out.splitlines()[-1]
    assert dapo("ledger", "--where", "kind = nothing") == (0, "", "no run matches\n")
