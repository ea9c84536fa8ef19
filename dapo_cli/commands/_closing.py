"""What `train` and `resume` print when a run is complete."""

from __future__ import annotations

import shlex
from statistics import fmean

from dapo_cli import console, display


def print_closing(location: str, run_id: str, as_json: bool) -> None:
    """What the run came to, and the commands that come next; with --json the run and its result as one object."""
    from dapo_cli.project_file import database_location
    from store import runs
    from store.session import Database
    from store.summaries import latest

    with Database.read(location) as db:
        run = runs.get(db, run_id)
        state = latest(db, run_id, episodes=10)
        short = runs.shorten(db)[run_id]
    evaluation = state["evaluation"]
    last = [episode["return"] for episode in state["episodes"]]
    if as_json:
        console.print_json({**run, "final": evaluation and fmean(evaluation["returns"]), "evaluation": evaluation})
        return
    row = {
        "run": short,
        "algo": run["algo"],
        "env": run["env"],
        "seed": str(run["seed"]),
        "steps": str(run["step"]),
        "episodes": str(state["counts"]["episode"]),
        "final return": display.mean_text(evaluation["returns"] if evaluation else []),
        f"last {len(last)} episodes": display.mean_text(last),
        "time": f"{run['wall_time']:.0f} s",
    }
    console.print_table(tuple(row), [tuple(row.values())])
    again = "" if location == database_location(None) or "://" in location else f" --db {shlex.quote(location)}"
    console.info("final return: mean ± standard deviation over the evaluation's episodes, played with mean actions")
    console.info(f"next: dapo show {short}{again}   dapo compare{again}   dapo table --rows algo --cols env{again}")
