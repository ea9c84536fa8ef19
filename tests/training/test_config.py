"""From what the user typed to a configuration: precedence, origins, and one clear line for every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import algorithms
from algorithms.core.types import Spaces
from dapo_cli.configuration import run_configuration, setting_files
from dapo_cli.errors import BadInput

KL = {"algo": "dapo-kl", "env": "HalfCheetah-v4"}


def values(resolved: run_configuration.RunConfig) -> dict[str, tuple[Any, str]]:
    return {row["name"]: (row["value"], row["origin"]) for row in resolved.rows()}


def test_the_stated_defaults(tmp_path: Path) -> None:
    resolved = run_configuration.resolve(KL, directory=tmp_path).resolved(Spaces(17, 6))
    assert resolved.settings.seed == 0
    rows = values(resolved)
    expected = {
        "steps": 1_000_000,
        "eval_episodes": 10,
        "learning_rate": 3e-4,
        "batch_size": 256,
        "learning_starts": 5000,
        "beta": 0.5,
        "m": 10,
        "temperature": "auto",
    }
    for name, value in expected.items():
        assert rows[name] == (value, "default"), name


def test_the_command_line_beats_the_file_beats_the_preset_beats_the_default(tmp_path: Path) -> None:
    (tmp_path / "dapo.toml").write_text(
        'env = "Humanoid-v4"\nbatch_size = 64\ngamma = 0.9\n'
        '[dapo-kl]\nbeta = 0.2\n[sac]\ngamma = 0.1\n["Human*"]\nm = 3\n'
    )
    extra = tmp_path / "extra.toml"
    extra.write_text("gamma = 0.95\n")
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    resolved = run_configuration.resolve(
        {"algo": "dapo-kl", "steps": 100}, ["batch_size=32"], extra, "fixed-temperature", directory=folder
    )
    rows = values(resolved)
    assert resolved.settings.env == "Humanoid-v4"
    assert rows["steps"] == (100, "command line")
    assert rows["batch_size"] == (32, "command line")
    assert rows["gamma"] == (0.95, "file")
    assert rows["beta"] == (0.2, "file")
    assert rows["m"] == (3, "file")
    assert rows["temperature"] == (0.05, "preset")
    assert rows["polyak"] == ("auto", "default")


@pytest.mark.parametrize("preset", [False, True], ids=["file", "preset"])
def test_the_more_special_table_wins_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: bool
) -> None:
    """Top level < environment < algorithm < algorithm in environment; of several patterns, the last."""
    text = """# Four layers.
gamma = 0.1
polyak = 0.1
batch_size = 1
m = 1
[dapo-kl."Humanoid-*"]
gamma = 0.4
[dapo-kl]
gamma = 0.3
polyak = 0.3
[dapo-kl."Ant-*"]
gamma = 0.6
[sac."Humanoid-*"]
gamma = 0.7
["Humanoid-*"]
gamma = 0.2
polyak = 0.2
batch_size = 2
["Human*-v4"]
batch_size = 3
"""
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "layers.toml").write_text(text)
    monkeypatch.setattr(setting_files, "PRESETS", folder)
    source: dict[str, Any] = {"preset": "layers"} if preset else {"config_file": folder / "layers.toml"}
    rows = values(run_configuration.resolve({"algo": "dapo-kl", "env": "Humanoid-v4"}, directory=tmp_path, **source))
    origin = "preset" if preset else "file"
    assert rows["gamma"] == (0.4, origin)
    assert rows["polyak"] == (0.3, origin)
    assert rows["batch_size"] == (3, origin)
    assert rows["m"] == (1, origin)


def test_tags_and_note_come_from_both(tmp_path: Path) -> None:
    (tmp_path / "dapo.toml").write_text('tags = ["a"]\nnote = "from the file"\ndb = "x.db"\n')
    resolved = run_configuration.resolve(KL, tags=["b", "a"], directory=tmp_path)
    assert resolved.tags == ("a", "b")
    assert resolved.note == "from the file"
    assert run_configuration.resolve(KL, note="typed", directory=tmp_path).note == "typed"


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("hidden_sizes=[64, 32]", "hidden_sizes", [64, 32]),
        ("layer_norm=true", "layer_norm", True),
        ("buffer_size=1e5", "buffer_size", 100_000),
        ("temperature=0.1", "temperature", 0.1),
        ("temperature=auto", "temperature", "auto"),
        ("activation=tanh", "activation", "tanh"),
        ("keep_replay=true", "keep_replay", True),
        ("keep_replay=false", "keep_replay", False),
    ],
)
def test_set_reads_toml_literals_and_bare_words(tmp_path: Path, assignment: str, name: str, value: Any) -> None:
    assert values(run_configuration.resolve(KL, [assignment], directory=tmp_path))[name] == (value, "command line")


@pytest.mark.parametrize(
    ("options", "assignments", "words"),
    [
        ({"algo": "dapo-k"}, [], ["dapo-k", "did you mean", "dapo-kl"]),
        ({}, ["betta=0.1"], ["betta", "did you mean 'beta'"]),
        ({"algo": "sac"}, ["beta=0.1"], ["beta", "sac", "dapo algos sac"]),
        ({}, ["beta=1.5"], ["beta", "1.5", "a number > 0 and ≤ 1"]),
        ({}, ["beta=nan"], ["beta", "nan"]),
        ({}, ["temperature=-1"], ["temperature", "auto or a number > 0"]),
        ({}, ["activation=rel"], ["activation", "relu"]),
        ({}, ["hidden_sizes=3"], ["hidden_sizes", "a list, such as [256, 256], each a whole number ≥ 1"]),
        ({}, ["hidden_sizes=[0]"], ["hidden_sizes"]),
        ({}, ["critics=2.5"], ["critics", "a whole number"]),
        ({}, ["beta=true"], ["beta", "a number"]),
        ({}, ["layer_norm=7"], ["layer_norm", "true or false"]),
        ({}, ["beta"], ["key=value"]),
        ({}, ["env=Ant-v4"], ["--env"]),
        ({"steps": 0}, [], ["steps", "≥ 1"]),
        ({"seed": -1}, [], ["seed", "≥ 0"]),
        ({"device": "gpu"}, [], ["device", "cuda"]),
        ({"env": None}, [], ["--env"]),
    ],
    ids=str,
)
def test_mistakes_are_one_line_with_the_remedy(
    tmp_path: Path, options: dict[str, Any], assignments: list[str], words: list[str]
) -> None:
    with pytest.raises(BadInput) as caught:
        run_configuration.resolve(KL | options, assignments, directory=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("betta = 1\n", ["betta", "dapo.toml"]),
        ("beta = 7\n", ["beta", "dapo.toml"]),
        ("beta = \n", ["not valid TOML"]),
        ("[dapo-kk]\nbeta = 0.1\n", ["dapo-kk", "dapo-kl"]),
        ("tags = 3\n", ["tags = 3 in", "dapo.toml", "list of strings"]),
        ('tags = "a"\n', ["tags = 'a' in", "dapo.toml"]),
        ('tags = [" "]\n', ["the tag ' ' in", "dapo.toml", "is blank"]),
        ('tags = ["a\\u001b[31m"]\n', ["dapo.toml has control characters"]),
        ('note = ["a"]\n', ["note = ['a'] in", "dapo.toml", "a note is a text"]),
        ('note = "a\\u0007"\n', ["dapo.toml has control characters"]),
        ("tuning = 1\n", ["tuning = 1 in", "dapo.toml", "true or false"]),
        ("preset = 1\n", ["preset = 1 in", "dapo.toml"]),
        ("eval_every = 9223372036854775808\n", ["eval_every = 9223372036854775808 in", "dapo.toml", "below 2^63"]),
        ("[dapo-kl]\nhidden_sizes = [1000000000000000000000]\n", ["hidden_sizes", "dapo.toml", "below 2^63"]),
        ('["Ant-*".dapo-kl]\nbeta = 0.1\n', ["dapo.toml", '[dapo-kl."Ant-*"]']),
        ("[dapo-kl.Ant]\nbeta = 0.1\n", ["[dapo-kl] of", '"Ant-*"']),
        ("[sac.Ant]\ngamma = 0.1\n", ["[sac] of", '"Ant-*"']),
        ('[dapo-kl."HalfCheetah-*"]\nbetta = 0.1\n', ["betta", "did you mean 'beta'"]),
        ('preset = "nope"\n', ["nope", "preset"]),
    ],
    ids=str,
)
def test_mistakes_in_a_file_name_the_file(tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "dapo.toml").write_text(content)
    with pytest.raises(BadInput) as caught:
        run_configuration.resolve(KL, directory=tmp_path)
    for word in words:
        assert word in str(caught.value)


def test_words_become_numbers_once_the_environment_is_known(tmp_path: Path) -> None:
    rows = values(run_configuration.resolve(KL, directory=tmp_path).resolved(Spaces(17, 6)))
    assert rows["target_entropy"] == (-6.0, "default")
    assert rows["critic_learning_rate"] == (3e-4, "default")


def test_a_stored_configuration_comes_back_as_it_was(tmp_path: Path) -> None:
    resolved = run_configuration.resolve(KL | {"seed": 3}, ["beta=0.3", "hidden_sizes=[8]"], directory=tmp_path)
    resolved = resolved.resolved(Spaces(17, 6))
    run = {"id": "0" * 16, "algo": "dapo-kl", "env": "HalfCheetah-v4", "seed": 3, "tags": [], "note": None}
    again = run_configuration.restore(run, resolved.rows())
    assert again.settings == resolved.settings
    assert again.hyperparameters == resolved.hyperparameters
    assert again.rows() == resolved.rows()


def test_no_name_means_two_things() -> None:
    """Settings and hyperparameters share one name space in files, in --set and in the database."""
    for name in algorithms.names():
        assert not set(run_configuration.Settings.model_fields) & set(algorithms.load(name).Config.model_fields)


def pairs(content: dict[str, Any]) -> set[tuple[str, str]]:
    """An algorithm and an environment for every table of a preset, and one pair for its top level."""
    found = {("sac", "Pendulum-v1")}
    for name, table in content.items():
        if isinstance(table, dict):
            algo = name if name in algorithms.names() else "sac"
            inner = [key for key, value in table.items() if isinstance(value, dict)] if algo == name else [name]
            found |= {(algo, pattern.replace("*", "v4")) for pattern in [*inner, "Pendulum-v1"]}
    return found


@pytest.mark.parametrize("preset", setting_files.presets())
def test_every_preset_is_valid_where_it_has_something_to_say(tmp_path: Path, preset: str) -> None:
    assert setting_files.preset_text(preset).startswith("# ")
    for algo, env in pairs(setting_files.preset(preset)):
        run_configuration.resolve({"algo": algo, "env": env}, preset=preset, directory=tmp_path)
