"""docs/commands.md says what the commands say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "commands.md"


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "resume",
        "sweep",
        "worker",
        "reproduce",
        "evaluate",
        "export-policy",
        "algos",
        "presets",
        "runs",
        "show",
        "compare",
        "table",
        "why",
        "verify",
        "plot",
        "report",
        "bundle",
        "mark",
        "ledger",
        "compute",
        "import",
        "export",
        "browse",
        "merge",
        "delete",
        "db",
        "selftest",
        "freeze",
        "power",
        "decide",
        "theory",
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
    from dapo_cli.filters.grammar import parse

    (examples,) = re.findall(r"selects runs:\n\n```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for line in examples.splitlines():
        parse(line)


def test_the_code_beside_an_equation_is_the_code_that_runs():
    """Every excerpt of docs/algorithms.md stands, line by line, in the file that its section names."""
    sections = (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8").split("\n## ")[1:]
    excerpts = 0
    for section in sections:
        named = re.search(r"`([\w/]+\.py)`", section.partition("\n")[0])
        files = [named.group(1) if named else "", "family/dual_network.py", "family/proximal.py"]
        source = [
            line.strip()
            for file in files
            if file
            for line in (ROOT / "algorithms" / file).read_text(encoding="utf-8").splitlines()
        ]
        for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            excerpts += 1
            assert [line for line in block.splitlines() if line.strip() not in source] == []
    assert excerpts >= 6


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "AGENTS.md"])
def test_pages_for_those_who_carry_on_name_what_is_there(page):
    named = re.findall(
        r"`((?:algorithms|store|dapo_cli|tests|benchmarks|docs)/[\w./-]*)`", (ROOT / page).read_text("utf-8")
    )
    assert [path for path in named if "your_name" not in path and not (ROOT / path).exists()] == []
    assert named


def test_what_is_public_can_be_imported():
    """The modules that other packages may rely on keep their names."""
    public = """algorithms.core.types algorithms.core.hyperparameters algorithms.core.mirror_maps algorithms.core.adam
        algorithms.core.mlp algorithms.core.critics algorithms.core.finite algorithms.core.rollout
        algorithms.core.tanh_gaussian algorithms.core.standardised algorithms.family.contract
        algorithms.family.actor_critic algorithms.family.actor_value algorithms.family.proximal
        algorithms.family.dual_network algorithms.family.diagnostics store.frames store.session"""
    for name in public.split():
        importlib.import_module(name)
