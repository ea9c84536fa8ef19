"""`dapo train`, `resume` and `algos` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import algorithms
from store.records import runs
from store.session import Database

TINY = ["hidden_sizes=[16]", "batch_size=8", "learning_starts=100", "buffer_size=1000"]
SHORT = ["--env", "Pendulum-v1", "--steps", "300", "--eval-episodes", "2", *(f"--set={text}" for text in TINY)]


def test_a_run_ends_with_its_result(dapo: Callable[..., Any], tmp_path: Path) -> None:
    outcome = dapo("train", "--algo", "dapo-kl", *SHORT, "--tag", "first", "--tag", "paper", "--note", "a try")
    assert outcome.code == 0
    assert "dapo-kl  Pendulum-v1  0     300    1" in " ".join(outcome.out.splitlines()).replace("\n", " ")
    assert "dapo show" in outcome.err
    assert "step 300 of 300" in outcome.err
    (run,) = json.loads(dapo("runs", "--json").out)
    assert run["status"] == "completed"
    assert run["tags"] == ["first", "paper"]
    assert run["note"] == "a try"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.db", "runs.db.files"]


def test_json_is_one_object_and_quiet_is_quiet(dapo: Callable[..., Any]) -> None:
    outcome = dapo("train", "--algo", "sac", *SHORT, "--seed", "7", "--json", "-q")
    result = json.loads(outcome.out)
    assert (result["algo"], result["seed"], result["status"], result["step"]) == ("sac", 7, "completed", 300)
    assert len(result["evaluation"]["returns"]) == 2
    assert result["final"] == pytest.approx(sum(result["evaluation"]["returns"]) / 2)
    assert outcome.err == ""


def test_scientific_notation_and_every_option_reach_the_configuration(dapo: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text("gamma = 0.9\n")
    typed = "train --algo dapo-kl --env HalfCheetah-v5 --seed 1e1 --steps 1e6 --device cpu --compile off --threads 2"
    typed += " --eval-every 5e3 --eval-episodes 3 --checkpoint-every 1e4 --set beta=0.25 --config more.toml"
    outcome = dapo(*typed.split(), "--preset", "cleanrl", "--dry-run", "--json")
    resolved = json.loads(outcome.out)
    values = {row["name"]: (row["value"], row["origin"]) for row in resolved["values"]}
    assert (resolved["algo"], resolved["env"], resolved["seed"]) == ("dapo-kl", "HalfCheetah-v5", 10)
    typed_values = {
        "steps": 1_000_000,
        "device": "cpu",
        "compile": "off",
        "threads": 2,
        "eval_every": 5000,
        "eval_episodes": 3,
        "checkpoint_every": 10_000,
        "beta": 0.25,
    }
    for name, value in typed_values.items():
        assert values[name] == (value, "command line"), name
    assert values["gamma"] == (0.9, "file")
    assert values["critic_learning_rate"] == (1e-3, "preset")
    assert values["target_entropy"] == (-6, "default")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more.toml"]


def test_a_dry_run_shows_where_values_come_from(dapo: Callable[..., Any]) -> None:
    outcome = dapo("train", "--algo", "dapo-kl", *SHORT, "--dry-run")
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["beta", "0.5", "default", "β"] in lines
    assert ["batch_size", "8", "command", "line", "B"] in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--algo dapo-k --env Pendulum-v1", ["dapo-k", "did you mean 'dapo-kl'"]),
        ("--algo sac --env Pendulum-v9", ["Pendulum-v9", "did you mean 'Pendulum-v1'"]),
        ("--algo sac --env CartPole-v1 --set bins=3", ["CartPole-v1", "discrete", "bins"]),
        ("--algo sac", ["--env"]),
        ("--algo sac --env Pendulum-v1 --set gama=0.9", ["gama", "did you mean 'gamma'"]),
        ("--algo sac --env Pendulum-v1 --set gamma=1.5", ["gamma", "≥ 0 and < 1"]),
        ("--algo sac --env Pendulum-v1 --steps many", ["many", "whole number"]),
        ("--algo sac --env Pendulum-v1 --steps 1.5", ["1.5", "whole number"]),
        ("--algo sac --env Pendulum-v1 --steps 1e20", ["steps", "below 2^63"]),
        ("--algo sac --env Pendulum-v1 --steps -5", ["steps", "≥ 1"]),
        ("--algo sac --env Pendulum-v1 --stepz 5", ["--stepz"]),
        ("--algo sac --env Pendulum-v1 --device tpu", ["device", "auto | cpu | cuda"]),
        ("--algo sac --env Pendulum-v1 --config none.toml", ["none.toml"]),
        ("--algo sac --env Pendulum-v1 --preset none", ["none", "cleanrl"]),
        ("--algo sac --env Pendulum-v1 --db no/such/folder/runs.db", ["no/such/folder", "--db"]),
        ("--algo sac --env Pendulum-v1 --db .", ["no name", "--db"]),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_writes_nothing(
    refused: Callable[..., str], tmp_path: Path, arguments: str, words: list[str]
) -> None:
    line = refused("train", *arguments.split())
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_left_alone(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes, and nothing like a database\n" * 10)
    before = (tmp_path / "notes.txt").read_bytes()
    assert "notes.txt" in refused("train", "--algo", "sac", *SHORT, "--db", "notes.txt")
    assert (tmp_path / "notes.txt").read_bytes() == before


def test_a_locked_database_is_one_line(
    refused: Callable[..., str], results: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.connection import sqlite

    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.2)
    assert results.path is not None
    with sqlite3.connect(results.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        line = refused("train", "--algo", "sac", *SHORT)
        other.execute("ROLLBACK")
    other.close()
    assert "locked" in line or "another process" in line


def test_resume_says_what_cannot_be_resumed(
    dapo: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "no results database" in refused("resume", "abc123")
    assert list(tmp_path.iterdir()) == []
    dapo("train", "--algo", "sac", *SHORT)
    assert "no run" in refused("resume", "zzz")
    (run,) = json.loads(dapo("runs", "--json").out)
    assert "completed" in refused("resume", run["id"][:6])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_says_how_to_go_on(dapo: Callable[..., Any], tmp_path: Path, signum: int) -> None:
    command = [sys.executable, "-P", "-m", "dapo_cli", "train", "--algo", "sac", *SHORT, "--steps", "1000000"]
    process = subprocess.Popen([*command, "--compile", "off"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step"):
            break
    time.sleep(1)
    os.kill(process.pid, signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    (run,) = json.loads(dapo("runs", "--json").out)
    assert run["status"] == "interrupted"
    assert err.splitlines()[-1].endswith(f"continue with: dapo resume {run['id'][:6]}")
    with Database.read(str(tmp_path / "runs.db")) as db:
        assert runs.checkpoints(db, run["id"])[0]["step"] == run["step"]


@pytest.mark.parametrize("env", ["HalfCheetah-v4", "HalfCheetah-v5"])
def test_mujoco_is_quiet(tmp_path: Path, env: str) -> None:
    """No deprecation notice, no MuJoCo warning on the screen, no log file in the user's folder."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "dapo_cli",
        "train",
        "--algo",
        "sac",
        *SHORT,
        "--env",
        env,
        "--steps",
        "30",
        "-q",
    ]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert process.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.db", "runs.db.files"]


def test_a_return_that_is_not_finite_is_shown() -> None:
    from dapo_cli.terminal.formatting import mean_text

    assert mean_text([float("nan"), 1.0]) == "nan"
    assert mean_text([1.0, 3.0]) == "2.00 ± 1.41"
    assert mean_text([]) == "–"


def test_algos_lists_all_and_describes_each(dapo: Callable[..., Any], refused: Callable[..., str]) -> None:
    listed = json.loads(dapo("algos", "--json").out)
    assert [row["name"] for row in listed] == algorithms.names()
    assert all(row["summary"] for row in listed)
    overview = dapo("algos").out
    assert all(f"{row['name']}: {row['difference']}\n    {row['equation']}" in overview for row in listed)
    for name in algorithms.names():
        described = {row["name"]: row for row in json.loads(dapo("algos", name, "--json").out)["hyperparameters"]}
        rollouts = algorithms.on_policy(algorithms.load(name))
        own = (
            ("rollout_steps", "gae_lambda") if rollouts else ("learning_starts", "buffer_size", "polyak", "temperature")
        )
        for field in ("batch_size", "gamma", "learning_rate", *own):
            assert described[field]["meaning"]
            assert described[field]["range"]
        assert all(field in dapo("algos", name).out for field in described)
    assert described["gamma"]["symbol"] == "γ"
    assert "did you mean" in refused("algos", "dapo-k")
