"""Whole numbers beyond 64 bits, for every option that takes one: one line, and nothing is written."""

from __future__ import annotations

import pytest

from dapo_cli import app


def _integers(words: list[str], command) -> list[tuple[str, str]]:
    found = []
    for name, inner in getattr(command, "commands", {}).items():
        found += _integers([*words, name], inner)
    for param in command.params:
        if "int" in str(param.type_descriptor.annotation) and param.opts[0].startswith("--"):
            found.append((" ".join(words), param.opts[0]))
    return found


OPTIONS = [found for name in app.FIRST for found in _integers([name], app._load(name))]
NEEDED = {  # what must be there for the option to be looked at
    "train": ["--algo", "sac", "--env", "Pendulum-v1"],
    "sweep": ["--algo", "sac", "--env", "Pendulum-v1", "--name", "s"],
    "sweep run": ["s.toml"],
    "reproduce": ["paper"],
    "evaluate": ["run"],
    "table": [],
    "import": ["x.csv"],
}


def test_all_are_there():
    assert len(OPTIONS) > 30
    assert {("import", "--seed"), ("train", "--steps"), ("runs", "--limit"), ("sweep run", "--workers")} <= set(OPTIONS)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_refused_in_one_line(place, tame, capsys, command, option):
    for number in (2**63, 10**30):
        assert app.main([*command.split(), *NEEDED.get(command, []), option, str(number)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(number) in line or "should be less than or equal to" in line
        assert option in line
    assert list(place.iterdir()) == []
