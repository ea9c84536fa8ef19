"""docs/commands.md says what the commands say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "resume",
        "evaluate",
        "export-policy",
        "algos",
        "presets",
        "runs",
        "show",
        "compare",
        "table",
        "plot",
        "delete",
        "db",
    ],
)
def test_every_option_of_a_command_is_documented(dapo, command):
    text = DOCUMENT.read_text(encoding="utf-8")
    shared, section = (
        text.partition("\n## Exit codes")[0],
        text.partition(f"\n## dapo {command}\n")[2].partition("\n## ")[0],
    )
    options = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", dapo(command, "--help").out, re.MULTILINE)
    spelled = shared + section + "--help --where -v --verbose -q --quiet"
    assert section
    assert [option for option in options if option not in spelled] == []


def test_every_example_filter_is_one(results):
    from dapo_cli.analysis.expression import parse

    (examples,) = re.findall(r"selects runs:\n\n```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for line in examples.splitlines():
        parse(line)
