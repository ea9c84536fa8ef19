"""What `train` and `resume` print when a run, or each of several, is complete."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from dapo_cli.terminal import console, formatting


def print_closing(location: str, run_ids: Sequence[str], as_json: bool) -> None:
    """What the runs came to, and the commands that come next; with --json each run and its result as an object."""
    from dapo_cli.configuration.project_file import database_location
    from store.records import runs
    from store.records.summaries import latest
    from store.session import Database

    with Database.read(location) as db:
        found = [(runs.get(db, run_id), latest(db, run_id, episodes=10)) for run_id in run_ids]
        names = runs.shorten(db)
    if as_json:
        console.print_json([_object(*one) for one in found] if len(found) > 1 else _object(*found[0]))
        return
    rows = [_row(names[run["id"]], run, state) for run, state in found]
    console.print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    again = "" if location == database_location(None) or "://" in location else f" --db {shlex.quote(location)}"
    console.info("final return: mean ± standard deviation over the evaluation's episodes, played with mean actions")
    first = names[run_ids[0]]
    console.info("next:")
    for command in (f"show {first}", "compare", "table --rows algo --cols env"):
        console.info(f"  dapo {command}{again}")


def _object(run: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    evaluation = state["evaluation"]
    return {**run, "final": evaluation and formatting.mean_of(evaluation["returns"]), "evaluation": evaluation}


def _row(name: str, run: dict[str, Any], state: dict[str, Any]) -> dict[str, str]:
    evaluation = state["evaluation"]
    return {
        "run": name,
        "algo": run["algo"],
        "env": run["env"],
        "seed": str(run["seed"]),
        "steps": str(run["step"]),
        "episodes": str(state["counts"]["episode"]),
        "final return": formatting.mean_text(evaluation["returns"] if evaluation else []),
        "last episodes": formatting.mean_text([episode["return"] for episode in state["episodes"]]),
        "time": f"{run['wall_time']:.0f} s",
    }
