"""Files of settings (`dapo.toml`, `--config`, presets): which of their values hold for an algorithm in an environment.

A file has names at its top level and tables, from the general to the special; the more special one wins:

    gamma = 0.99                   # always
    ["Humanoid-*"]                 # in these environments
    [dapo-kl]                      # for this algorithm
    [dapo-kl."Humanoid-*"]         # for this algorithm in these environments
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

import algorithms
from dapo_cli.errors import BadInput, did_you_mean

PRESETS = resources.files("dapo_cli") / "presets"


def applicable(content: Mapping[str, Any], algo: str, env: str, source: str) -> dict[str, Any]:
    """The values of a file that hold for this algorithm and environment; `source` names the file in errors.

    Of several patterns that fit an environment, the last in the file wins. Raises BadInput for a table that is neither
    an algorithm's nor an environment's.
    """
    values, tables = _split(content)
    known = algorithms.names()
    for name in tables:
        if name not in known and not _is_pattern(name):
            hint = did_you_mean(name, known)
            raise BadInput(f'[{name}] in {source} is neither an algorithm nor an environment such as ["Ant-*"]: {hint}')
    values |= _of_environment({name: tables[name] for name in tables if name not in known}, env, source)
    for name in tables:
        if name in known:  # also those of other algorithms: a mistake there is a mistake, too
            own, nested = _split(tables[name])
            own |= _of_environment(nested, env, f"[{name}] of {source}")
            values |= own if name == algo else {}
    return values


def presets() -> list[str]:
    """The names of the presets."""
    files = (file.name for file in PRESETS.iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def preset_text(name: str) -> str:
    """A preset as it is written, comments included; raises BadInput for an unknown one."""
    if name not in presets():
        raise BadInput(f"unknown preset '{name}': {did_you_mean(name, presets())}")
    return (PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def preset(name: str) -> dict[str, Any]:
    """The content of a preset; raises BadInput for an unknown one."""
    return tomllib.loads(preset_text(name))


def summary(text: str) -> str:
    """The first line of a preset's text without the sign of a comment."""
    return text.partition("\n")[0].lstrip("# ")


def _split(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    values = {name: value for name, value in content.items() if not isinstance(value, dict)}
    return values, {name: value for name, value in content.items() if isinstance(value, dict)}


def _of_environment(tables: Mapping[str, dict[str, Any]], env: str, source: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, table in tables.items():
        if not _is_pattern(name):
            raise BadInput(f'["{name}"] in {source} is no environment: write one such as "Ant-v4" or "Ant-*"')
        for inner in _split(table)[1]:
            remedy = f'for an algorithm in an environment write [{inner}."{name}"]'
            raise BadInput(f'["{name}".{inner}] in {source} is a table within an environment\'s: {remedy}')
        if fnmatchcase(env, name):
            values |= table
    return values


def _is_pattern(name: str) -> bool:
    return "*" in name or "-v" in name
