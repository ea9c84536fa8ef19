"""`dapo train --from RUN --steps N` as a user types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

TINY = ["hidden_sizes=[16]", "batch_size=8", "learning_starts=100", "buffer_size=1000"]
SHORT = ["--env", "Pendulum-v1", "--steps", "150", "--eval-episodes", "1", *(f"--set={text}" for text in TINY)]


@pytest.fixture
def trained(dapo: Callable[..., Any]) -> Callable[..., str]:
    """Trains a short run with these further arguments and returns its id."""

    def train(*arguments: str) -> str:
        outcome = dapo("train", "--algo", "sac", *SHORT, "--json", *arguments)
        assert outcome.code == 0, outcome.err
        return str(json.loads(outcome.out)["id"])

    return train


def test_a_longer_run_shows_where_it_comes_from_and_is_no_second_seed(
    dapo: Callable[..., Any], trained: Callable[..., str]
) -> None:
    parent = trained("--set", "keep_replay=true", "--tag", "short")
    shown = json.loads(dapo("show", parent, "--json").out)
    typed = [
        "--from",
        parent[:6],
        "--steps",
        "2e2",
        "--eval-every",
        "80",
        "--set",
        "keep_replay=false",
        "--tag",
        "long",
    ]
    outcome = dapo("train", *typed)
    assert outcome.code == 0
    assert "approximate" not in outcome.err
    assert json.loads(dapo("show", parent, "--json").out) == shown
    child, old = json.loads(dapo("runs", "--json").out)
    assert old["id"] == parent
    assert (child["parent"], child["steps"], child["tags"], child["status"]) == (parent, 200, ["long"], "completed")
    text = dapo("show", child["id"]).out
    assert f"extends   {parent}" in text
    assert f"goes on from run {parent[:6]} at step 150" in text
    assert json.loads(dapo("runs", "--json", "--where", f"parent = '{parent}'").out)[0]["id"] == child["id"]

    compared = dapo("compare", "--json")
    assert [row["n"] for row in json.loads(compared.out)] == [1]
    assert "1 run left out: 1 extended by another" in compared.err
    (row,) = json.loads(dapo("compare", "--json", "--where", "steps = 150").out)
    assert (row["n"], row["value"]) == (1, shown["final"])


def test_without_the_replay_it_says_once_that_it_is_approximate(
    dapo: Callable[..., Any], trained: Callable[..., str]
) -> None:
    outcome = dapo("train", "--from", trained(), "--steps", "300")
    assert outcome.code == 0
    assert outcome.err.count("approximate") == 1
    assert "did not keep its replay" in outcome.err
    assert json.loads(dapo("runs", "--json").out)[0]["exactness"] == "approximate"


def test_a_dry_run_writes_nothing(dapo: Callable[..., Any], trained: Callable[..., str], tmp_path: Path) -> None:
    parent = trained()
    before = (tmp_path / "runs.db").read_bytes()
    outcome = dapo("train", "--from", parent, "--steps", "300", "--dry-run", "--json")
    resolved = json.loads(outcome.out)
    values = {row["name"]: (row["value"], row["origin"]) for row in resolved["values"]}
    assert (resolved["algo"], resolved["env"]) == ("sac", "Pendulum-v1")
    assert values["steps"] == (300, "command line")
    assert values["batch_size"] == (8, "command line")
    assert values["gamma"] == (0.99, "default")
    assert (tmp_path / "runs.db").read_bytes() == before


def test_without_a_checkpoint_the_dry_run_refuses_as_the_run_does(
    record_run: Callable[..., str], refused: Callable[..., str]
) -> None:
    parent = record_run(env="Pendulum-v1", settings={"hidden_sizes": [16]})
    typed = ("train", "--from", parent, "--steps", "2000")
    line = f"run {parent[:6]} has no checkpoint to go on from: train a new run with --steps instead"
    assert refused(*typed) == line
    assert refused(*typed, "--dry-run") == line
    assert refused("resume", parent) == f"run {parent[:6]} is completed: there is nothing to resume, and {line}"


def test_a_damaged_checkpoint_is_no_checkpoint_for_the_dry_run_either(
    trained: Callable[..., str], refused: Callable[..., str], tmp_path: Path
) -> None:
    parent = trained()
    further = f"run {parent[:6]} is completed: to train it further, use: dapo train --from {parent[:6]} --steps N"
    assert refused("resume", parent) == further
    for file in tmp_path.glob("runs.db.files/*/checkpoints/*/tensors.safetensors"):
        file.write_bytes(b"")
    typed = ("train", "--from", parent, "--steps", "300", "-q")
    line = refused(*typed)
    assert "is unusable: tensors.safetensors is damaged" in line
    assert refused(*typed, "--dry-run") == line
    assert refused("resume", parent).endswith(f"there is nothing to resume, and {line}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["--steps N", "150"]),
        ("--steps 150", ["150", "more"]),
        ("--steps 300 --algo sac", ["keeps the algo"]),
        ("--steps 300 --env Pendulum-v1", ["keeps the env"]),
        ("--steps 300 --seed 1", ["keeps the seed"]),
        ("--steps 300 --preset cleanrl", ["keeps the preset"]),
        ("--steps 300 --config dapo.toml", ["keeps the config"]),
        ("--steps 300 --set gamma=0.9", ["keeps the gamma", "keep_replay"]),
        ("--steps 300 --threads 2", ["keeps the threads"]),
        ("--steps 300 --set keep_replay=perhaps", ["keep_replay", "true or false"]),
    ],
    ids=str,
)
def test_what_belongs_to_the_parent_cannot_be_given(
    trained: Callable[..., str], refused: Callable[..., str], tmp_path: Path, arguments: str, words: list[str]
) -> None:
    parent = trained()
    before = (tmp_path / "runs.db").read_bytes()
    line = refused("train", "--from", parent, *arguments.split())
    for word in words:
        assert word in line
    assert (tmp_path / "runs.db").read_bytes() == before


def test_there_must_be_such_a_run(refused: Callable[..., str], trained: Callable[..., str], tmp_path: Path) -> None:
    assert "no results database" in refused("train", "--from", "abc123", "--steps", "300")
    assert list(tmp_path.iterdir()) == []
    trained()
    assert "no run 'xyz'" in refused("train", "--from", "xyz", "--steps", "300")


def test_a_module_of_the_environment_must_be_allowed(
    dapo: Callable[..., Any],
    trained: Callable[..., str],
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "module_to_extend.py").write_text(
        "import gymnasium\n"
        "entry = 'gymnasium.envs.classic_control.pendulum:PendulumEnv'\n"
        "gymnasium.register('Extended-v0', entry_point=entry, max_episode_steps=50)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    parent = trained("--env", "module_to_extend:Extended-v0")
    monkeypatch.delitem(sys.modules, "module_to_extend")
    gymnasium.registry.pop("Extended-v0")
    assert "--import module_to_extend" in refused("train", "--from", parent, "--steps", "200")
    assert "module_to_extend" not in sys.modules
    assert dapo("train", "--from", parent, "--steps", "200", "--import", "module_to_extend").code == 0
    gymnasium.registry.pop("Extended-v0")
    assert "--from" in refused("train", "--algo", "sac", *SHORT, "--import", "module_to_extend")
