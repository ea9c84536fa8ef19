"""Writes settings-0.1.jsonl: what runs of release 0.1 have on record. Made with that release, later only read."""

import json
from pathlib import Path

import algorithms
from algorithms.core.types import Spaces
from dapo_cli.configuration import run_configuration

SPACES = {"continuous": Spaces(4, 2), "finite": Spaces(4, 1, 2), "bins": Spaces(4, 2, 3)}

runs = []
for algo in algorithms.names():
    for kind, spaces in SPACES.items():
        made = run_configuration.resolve(
            {"algo": algo, "env": "E-v0"}, ["bins=3"] if kind == "bins" else [], directory=Path("/")
        )
        made = made.resolved(spaces)
        settings = {row["name"]: row["value"] for row in made.rows()}
        runs.append(
            {"algo": algo, "kind": kind, "settings": settings, "configuration": run_configuration.identity(made)}
        )
Path(__file__).with_name("settings-0.1.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
