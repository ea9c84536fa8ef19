"""The command lines that make the numbers again: tables from the record, and runs from their stored configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.configuration.assignments import assignment

_OPTIONS = {
    "steps": "--steps",
    "eval_every": "--eval-every",
    "eval_episodes": "--eval-episodes",
    "checkpoint_every": "--checkpoint-every",
    "device": "--device",
    "compile": "--compile",
    "precision": "--precision",
    "threads": "--threads",
}
"""The settings that `dapo train` takes as options of their own; it takes the others by --set."""


def looking(request: Request, place: str, title: str | None = None) -> dict[str, list[str]]:
    """The commands that show these numbers, as words: table, differences (with a base), plot, report.

    `place` is the database.
    """
    keys = ",".join(key for key in request.rows if key not in ("algo", "env"))
    by, where = ["--by", keys] if keys else [], ["--db", place]
    found = {"table": ["dapo", "table", *without_base(request).arguments(), *where]}
    if request.base:
        found["differences"] = ["dapo", "table", *request.arguments(), *where]
    drawn = ["--y", "train-return"] if request.measure.name == "final-train" else []
    drawn += [] if request.statistic in ("mean", "gap") else ["--stat", request.statistic]
    drawn += ["--pool-over", ",".join(request.pool_over)] if request.pool_over else []
    drawn += ["--allow", ",".join(request.allow)] if request.allow else []
    found["plot"] = ["dapo", "plot", *by, *drawn, *request.choice.arguments(), *where]
    titled = ["--title", title] if title else []
    found["report"] = ["dapo", "report", *by, *request.arguments(shape=False), *titled, *where]
    return found


def without_base(request: Request) -> Request:
    """The same table without differences from a base."""
    return replace(request, base=None, vary=(), equivalent=None)


def training(run: Record) -> list[str]:
    """The command that trains a run of dapo's again, from the values that were resolved for it, as words."""
    words = ["dapo", "train", "--algo", run["algo"], "--env", run["env"], "--seed", str(run["seed"])]
    for name in sorted({"steps", *run["settings"]}):
        value = "cuda" if name == "device" and str(run[name]).startswith("cuda") else run[name]
        if name in _OPTIONS:
            words += [_OPTIONS[name], str(value)]
        elif value is not None:
            words += ["--set", assignment(name, value)]
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
