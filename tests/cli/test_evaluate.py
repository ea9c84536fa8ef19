"""`dapo evaluate`: what the policy of a run does when it plays again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dapo_cli.training.policy import trained


def recorded(folder: Path, step: int) -> list[tuple[float, int]]:
    query = 'SELECT "return", length FROM evaluation WHERE step = ? ORDER BY number'
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        return connection.execute(query, (step,)).fetchall()


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def played(result: dict[str, Any]) -> list[tuple[float, int]]:
    return [(episode["return"], episode["length"]) for episode in result["episodes"]]


def test_mean_actions_repeat_the_record_and_write_nothing(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    before = contents(tmp_path)
    outcome = dapo("evaluate", trained_run[:8], "--json")
    result = json.loads(outcome.out)
    assert outcome.err == "the first 2 episodes are as the run recorded at step 300, to the last bit\n"
    assert played(result) == recorded(tmp_path, 300)
    assert (result["recorded"], result["step"], result["actions"]) == ("same", 300, "mean")
    assert contents(tmp_path) == before


def test_the_table_summarises_the_episodes(dapo: Any, trained_run: str) -> None:
    result = json.loads(dapo("evaluate", trained_run, "--episodes", "3", "--json").out)
    returns = [value for value, _ in played(result)]
    assert result["n"] == 3
    assert result["mean"] == pytest.approx(sum(returns) / 3)
    assert (result["min"], result["max"], result["length"]) == (min(returns), max(returns), 200)
    outcome = dapo("evaluate", trained_run, "--episodes", "3")
    header, _, row = (line.split() for line in outcome.out.splitlines())
    assert header[4:] == ["actions", "return", "min", "max", "length", "n"]
    assert row[-4:] == [f"{min(returns):.1f}", f"{max(returns):.1f}", "200", "3"]
    assert "the first 2 episodes are as" in outcome.err


def test_a_difference_from_the_record_is_a_warning(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    change(tmp_path, 'UPDATE evaluation SET "return" = "return" + 1e-9 WHERE step = 300 AND number = 1')
    outcome = dapo("evaluate", trained_run, "--json")
    assert json.loads(outcome.out)["recorded"] == "different"
    assert "dapo: warning: not what the run recorded at step 300: episode 1 returned " in outcome.err
    assert "neither the versions nor the processor have changed" in outcome.err
    outcome = dapo("evaluate", trained_run, "--episodes", "1")
    assert "the first episode is as the run recorded" in outcome.err


def test_sampled_actions_are_reproducible_and_compared_with_nothing(
    dapo: Any, tmp_path: Path, trained_run: str
) -> None:
    def episodes(*options: str) -> list[tuple[float, int]]:
        outcome = dapo("evaluate", trained_run, "--json", *options)
        assert json.loads(outcome.out)["recorded"] is None
        assert outcome.err == ""
        return played(json.loads(outcome.out))

    first = episodes("--sampled")
    assert first == episodes("--sampled")
    assert first != recorded(tmp_path, 300)
    assert first == episodes("--sampled", "--episodes", "3")[:2]
    assert first != episodes("--sampled", "--seed", "1")
    assert episodes("--seed", "1") != recorded(tmp_path, 300)
    assert json.loads(dapo("evaluate", trained_run, "--json", "--seed", "0").out)["recorded"] == "same"


def test_an_interrupted_run_plays_with_its_last_checkpoint(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    change(tmp_path, "DELETE FROM checkpoint WHERE step = 300", "UPDATE run SET status = 'interrupted', steps = 900")
    outcome = dapo("evaluate", trained_run, "--json")
    assert played(json.loads(outcome.out)) == recorded(tmp_path, 200)
    assert f"run {trained_run[:6]} is interrupted: this is its policy after 200 of 900 steps" in outcome.err


def test_a_damaged_checkpoint_is_passed_over_and_kept(dapo: Any, tmp_path: Path, trained_run: str) -> None:
    folder = tmp_path / "runs.db.files" / trained_run / "checkpoints"
    (folder / "000000000300" / "tensors.safetensors").write_bytes(b"damaged")
    before = contents(tmp_path)
    outcome = dapo("evaluate", trained_run, "--json")
    assert "checkpoint at step 300 is unusable: tensors.safetensors is damaged" in outcome.err
    assert json.loads(outcome.out)["step"] == 200
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["evaluate", "export-policy"])
def test_what_has_no_policy_is_refused_in_one_line(
    refused: Callable[..., str], tmp_path: Path, trained_run: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert refused(command, "zzz").startswith("no run 'zzz'")
    change(tmp_path, "UPDATE run SET env = 'some_module:Env-v0'")
    assert refused(command, trained_run).endswith("if you trust it, add --import some_module")
    assert refused(command, trained_run, "--import", "some_module").startswith("cannot import 'some_module'")
    change(tmp_path, "UPDATE run SET env = 'Pendulum-v1'")
    with monkeypatch.context() as patch:
        patch.setattr(trained.np, "isfinite", lambda _: trained.np.array(False))
        assert refused(command, trained_run).endswith("at step 300 is not finite: the run diverged")
    change(tmp_path, "DELETE FROM checkpoint", "UPDATE run SET status = 'interrupted'")
    line = f"run {trained_run[:6]} has no checkpoint, so there is no policy to use: train it on with dapo resume"
    assert refused(command, trained_run).startswith(line)
    assert {path.name for path in tmp_path.iterdir()} == {"runs.db", "runs.db.files"}


def test_a_module_of_the_user_is_imported_with_permission(
    dapo: Any, trained_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "import gymnasium\nfrom gymnasium.envs.classic_control.pendulum import PendulumEnv\n"
    module += "gymnasium.register('Own-v0', entry_point=PendulumEnv, max_episode_steps=200)\n"
    (tmp_path / "own_environments.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    change(tmp_path, "UPDATE run SET env = 'own_environments:Own-v0'")
    outcome = dapo("evaluate", trained_run, "--import", "own_environments", "--json")
    assert json.loads(outcome.out)["recorded"] == "same"
    assert dapo("export-policy", trained_run, "--import", "own_environments").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--video film.avi", "neither an .mp4 nor a .gif"),
        ("--video no/folder/film.mp4", "its folder does not exist"),
        ("--episodes 0", "episodes"),
        ("--episodes many", "valid integer"),
        ("--seed -1", "seed"),
    ],
)
def test_bad_options_are_one_line(refused: Callable[..., str], trained_run: str, arguments: str, words: str) -> None:
    assert words in refused("evaluate", trained_run, *arguments.split())
