"""Protocols: experiments that come with dapo, each a sweep file with budgets and with the commands that tabulate it.

A protocol (`dapo_cli/protocols/*.toml`) is a sweep file (`sweep_file.py`) with two names more: `outputs`, the command
lines that turn the runs into tables, figures and a report, and tables `[budget.quick]` and `[budget.day]`, whose values
stand in place of the others. Its first line says what it is.
"""

from __future__ import annotations

import itertools
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.sweeps.definition.sweep_file import COMMAND_LINE, Definition

PROTOCOLS = resources.files("dapo_cli") / "protocols"
BUDGETS = ("quick", "day", "full")
"""From whether everything works, over what two cores do in a day, to the protocol as it stands."""


class Protocol(NamedTuple):
    """A protocol at a budget: its sweep, and the commands that show it."""

    definition: Definition
    outputs: list[str]


def names() -> list[str]:
    """The protocols that come with dapo, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in PROTOCOLS.iterdir() if file.name.endswith(".toml"))


def text(name: str) -> str:
    """A protocol as it is written. Raises BadInput for an unknown one."""
    if name not in names():
        raise BadInput(f"unknown protocol '{name}': {did_you_mean(name, names())}; dapo reproduce --list says more")
    return (PROTOCOLS / f"{name}.toml").read_text(encoding="utf-8")


def protocol(name: str, budget: str, typed: Mapping[str, Any] | None = None) -> Protocol:
    """The protocol at one of BUDGETS, under what was typed (`definition.typed_layer`). Raises BadInput.

    Its sweep is called `NAME-BUDGET` unless `typed` has another name. No `dapo.toml` has a say in it.
    """
    if budget not in BUDGETS:
        raise BadInput(f"--budget: there is no budget '{budget}': {did_you_mean(budget, BUDGETS)}")
    content = tomllib.loads(text(name))
    outputs, budgets = content.pop("outputs"), content.pop("budget", {})
    source = f"protocol {name}"
    layers = [{"origin": "file", "source": source, "content": {"name": f"{name}-{budget}", **content}}]
    if budget in budgets:
        layers.append({"origin": "file", "source": f"{source}, budget {budget}", "content": budgets[budget]})
    if typed:
        layers.append({"origin": "command line", "source": COMMAND_LINE, "content": dict(typed)})
    definition = Definition("", {"layers": layers}, source)
    return Protocol(Definition(str(definition.value("name")), definition.content, source), list(outputs))


def output_command(line: str, folder: Path, sweep: str, location: str) -> list[str]:
    """The words of an output's command, without `dapo`: for this sweep's runs, its files in `folder`."""
    words = shlex.split(line)[1:]
    placed = [str(folder / word) if before == "--out" else word for before, word in itertools.pairwise(["", *words])]
    return [*placed, "--sweep", sweep, "--db", location]


def files(lines: Sequence[str]) -> list[str]:
    """The names of the files that the outputs make."""
    found = []
    for line in lines:
        words = shlex.split(line)
        found += [word for before, word in itertools.pairwise(words) if before == "--out"]
    return found
