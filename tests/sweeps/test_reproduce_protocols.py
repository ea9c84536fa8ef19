"""The protocols that come with dapo: each is a sweep at every budget, with commands that exist."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer

from dapo_cli.app import app
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import grid, protocols
from dapo_cli.sweeps.definition.drafts import judged
from dapo_cli.sweeps.definition.sweep_file import typed_layer


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_is_a_sweep_at_every_budget(name: str) -> None:
    steps = []
    for budget in protocols.BUDGETS:
        protocol = protocols.protocol(name, budget)
        assert protocol.definition.name == f"{name}-{budget}"
        runs = grid.expand(protocol.definition)
        steps.append(sum(run.settings.steps for run in runs))
    assert steps == sorted(steps)
    assert steps[0] <= 400_000  # quick: at a hundred steps a second on each of two cores, well under an hour
    assert steps[1] <= 20_000_000 or name == "on-policy"  # a day, likewise; rollouts learn from many steps at once


@pytest.mark.parametrize("name", protocols.names())
def test_every_output_is_a_command_line_of_ours(name: str) -> None:
    command = typer.main.get_command(app)
    context = typer.Context(command)
    for line in protocols.protocol(name, "quick").outputs:
        words = shlex.split(line)
        assert words[0] == "dapo"
        sub = command.get_command(context, words[1])  # type: ignore[attr-defined]
        placed = protocols.output_command(line, Path("folder"), "swept", "x.db")
        sub.make_context(words[1], placed[1:])
        outs = [after for word, after in itertools.pairwise(placed) if word == "--out"]
        assert outs
        assert all(out.startswith("folder/") for out in outs)
        assert placed[-4:] == ["--sweep", "swept", "--db", "x.db"]
        assert {Path(out).name for out in outs} <= set(protocols.files([line]))


def test_the_papers_comparison_is_the_papers() -> None:
    """Public: DAPO-KL, SAC, AMPO, MAMPO; four MuJoCo environments; m in {1, 10}; five seeds; a million steps (ours)."""
    runs = grid.expand(protocols.protocol("dapo-paper", "full").definition)
    assert len(runs) == 100
    assert {run.settings.steps for run in runs} == {1_000_000}
    assert {run.settings.seed for run in runs} == {0, 1, 2, 3, 4}
    kinds = Counter((run.settings.algo, judged(run).get("m")) for run in runs)
    assert kinds == {("dapo-kl", 1): 20, ("dapo-kl", 10): 20, ("sac", None): 20, ("ampo", 10): 20, ("mampo", 10): 20}
    assert {run.settings.env for run in runs} == {"HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4"}
    assert {run.origins.get("beta") for run in runs if run.settings.algo == "dapo-kl"} == {"preset"}


def test_what_is_typed_wins_and_what_is_unknown_is_refused() -> None:
    typed = typed_layer(env="Pendulum-v1", seeds="1", steps=200, name="mine")
    protocol = protocols.protocol("million", "quick", typed)
    assert protocol.definition.name == "mine"
    assert {(run.settings.env, run.settings.steps) for run in grid.expand(protocol.definition)} == {
        ("Pendulum-v1", 200)
    }
    with pytest.raises(BadInput, match=r"unknown protocol 'dapo': .*--list says more"):
        protocols.protocol("dapo", "quick")
    with pytest.raises(BadInput, match="there is no budget 'fast'"):
        protocols.protocol("million", "fast")


def test_a_project_file_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dapo.toml").write_text("gamma = 0.5\n")
    monkeypatch.chdir(tmp_path)
    assert grid.expand(protocols.protocol("million", "quick").definition)[0].hyperparameters.gamma == 0.99
