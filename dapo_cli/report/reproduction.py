"""The command lines that make the numbers again: tables from the record, and runs from their stored configuration."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dapo_cli.analysis.requests import Request
from dapo_cli.analysis.selection import Record

_OPTIONS = {
    "steps": "--steps",
    "eval_every": "--eval-every",
    "eval_episodes": "--eval-episodes",
    "checkpoint_every": "--checkpoint-every",
    "device": "--device",
    "compile": "--compile",
    "threads": "--threads",
}
"""The settings that `dapo train` takes as options of their own; it takes the others by --set."""


def looking(request: Request, place: str, title: str | None = None) -> dict[str, list[str]]:
    """The commands that show these numbers, as words: table, differences (with a base), plot, report.

    `place` is the database.
    """
    by = ["--by", ",".join(key for key in request.rows if key not in ("algo", "env"))]
    by = by if by[1] else []
    where = ["--db", place]
    plain = replace(request, base=None, vary=(), equivalent=None)
    found = {"table": ["dapo", "table", *plain.arguments(), *where]}
    if request.base:
        found["differences"] = ["dapo", "table", *request.arguments(), *where]
    found["plot"] = ["dapo", "plot", *by, *request.choice.arguments(), *where]
    titled = ["--title", title] if title else []
    found["report"] = ["dapo", "report", *by, *request.arguments(shape=False), *titled, *where]
    return found


def training(run: Record, values: Mapping[str, Any] | None = None) -> list[str]:
    """The command that trains a run of dapo's again from its resolved values, as words; `run` has them by name."""
    words = ["dapo", "train", "--algo", run["algo"], "--env", run["env"], "--seed", str(run["seed"])]
    for name in run["settings"]:
        value = run[name] if values is None else values[name]
        if name in _OPTIONS:
            words += [_OPTIONS[name], str(value)]
        elif value is not None:
            words += ["--set", f"{name}={_literal(value)}"]
    words += ["--tuning"] if run["kind"] == "tuning" else ["--reporting"]
    for tag in run["tags"]:
        words += ["--tag", tag]
    return words


def line(words: Sequence[str]) -> str:
    """Words as a shell reads them."""
    return shlex.join(words)


def stored(run: Record) -> str:
    """The command line that made a run, as it was typed; where that is not on record, what is."""
    if run["source"]:
        return f"# imported from {run['source']}"
    return run["command"] or "# not on record"


def _literal(value: Any) -> str:
    """A setting as `--set` reads it: a TOML literal, or a bare word."""
    return value if isinstance(value, str) else json.dumps(value)
