"""Show everything about one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.terminal import console

PROVENANCE = (
    "command",
    "commit",
    "versions",
    "host",
    "processor",
    "threads",
    "device",
    "backend",
    "compiled",
    "group_size",
)


def show(run: shared.Run, db: shared.Db = None, json: shared.Json = False) -> None:
    """Show everything about one run: state, results, hyperparameters with their origin, provenance, events."""
    from dapo_cli.analysis.selection import overview
    from store.records import runs
    from store.session import Database

    with Database.read(database_location(db)) as database:
        facts = overview.describe(database, runs.resolve(database, run))
    if json:
        console.print_json(facts)
        return
    _print_state(facts)
    _print_results(facts)
    _print_hyperparameters(facts["hyperparameters"])
    _print_provenance(facts)
    _print_history(facts)
    if facts["status"] == "interrupted" and facts["checkpoints"]:
        console.info(f"continue it with: dapo resume {run}")


def _print_state(facts: Mapping[str, Any]) -> None:
    from dapo_cli.terminal import formatting

    progress = f"{facts['step']} of {facts['steps']} steps"
    if facts["wall_time"]:
        speed = facts["step"] / facts["wall_time"]
        progress += f" in {formatting.duration_text(facts['wall_time'])}, {speed:.0f} steps/s"
    fields: dict[str, console.Cell] = {
        "run": (facts["id"], "bold"),
        "algo": facts["algo"],
        "env": facts["env"],
        "seed": str(facts["seed"]),
        "status": (facts["status"], console.STATUS_STYLES.get(facts["status"], "")),
        "kind": facts["kind"] if facts["kind"] != "train" else "",
        "reason": facts["reason"] or "",
        "exactness": facts["exactness"] if facts["exactness"] != "exact" else "",
        "extends": facts["parent"] or "",
        "progress": progress,
        "tags": " ".join(facts["tags"]),
        "note": facts["note"] or "",
        "source": facts["source"] or "",
        "started": formatting.time_text(facts["started_at"] or facts["created_at"]),
        "ended": formatting.time_text(facts["ended_at"]) if facts["ended_at"] else "",
    }
    console.print_fields({name: value for name, value in fields.items() if value}, indent=0)


def _print_results(facts: Mapping[str, Any]) -> None:
    from dapo_cli.terminal import formatting

    fields: dict[str, console.Cell] = {}
    if evaluation := facts["evaluation"]:
        played = evaluation["returns"]
        episodes = f"{len(played)} {'episode' if len(played) == 1 else 'episodes'}"
        fields["evaluation"] = f"{formatting.mean_text(played)} over {episodes} at step {evaluation['step']}"
    if returns := [episode["return"] for episode in facts["episodes"]]:
        last = f"the last {len(returns)} of {facts['counts']['episode']} episodes"
        fields["training"] = f"{formatting.mean_text(returns)} over {last}"
        fields[""] = formatting.sparkline(returns)
    if fields:
        console.print_heading("Returns")
        console.print_fields(fields)
    if facts["metrics"]:
        console.print_heading("Diagnostics")
        console.print_fields(
            {name: formatting.general_text(value, 4) for name, value in sorted(facts["metrics"].items())}
        )


def _print_hyperparameters(settings: list[dict[str, Any]]) -> None:
    if not settings:
        return
    console.print_heading("Hyperparameters")
    console.print_table(
        ("name", "symbol", "value", "origin"),
        [
            (
                row["name"],
                row["symbol"] or "",
                _value_text(row["value"]),
                (row["origin"], "dim" if row["origin"] == "default" else ""),
            )
            for row in settings
        ],
        keys=("name",),
    )


def _print_provenance(facts: Mapping[str, Any]) -> None:
    fields = {name: _value_text(facts[name]) for name in PROVENANCE if facts[name] is not None}
    if facts["commit"] and facts["dirty"]:
        fields["commit"] += " with uncommitted changes"
    if facts["versions"]:
        fields["versions"] = ", ".join(f"{name} {version}" for name, version in sorted(facts["versions"].items()))
    if fields:
        console.print_heading("Provenance")
        console.print_fields(fields)


def _print_history(facts: Mapping[str, Any]) -> None:
    from dapo_cli.terminal import formatting

    if facts["checkpoints"]:
        console.print_heading("Checkpoints")
        console.print_table(
            ("step", "size", "written", "path"),
            [
                (
                    str(row["step"]),
                    formatting.bytes_text(row["bytes"]),
                    formatting.time_text(row["created_at"]),
                    row["path"],
                )
                for row in facts["checkpoints"]
            ],
            right=("step", "size"),
        )
    console.print_heading("Events")
    console.print_table(
        ("time", "step", "event", "message"),
        [
            (
                formatting.time_text(row["created_at"]),
                "" if row["step"] is None else str(row["step"]),
                row["kind"],
                "" if row["message"] in (row["kind"], facts["command"]) else row["message"],
            )
            for row in facts["events"]
        ],
        right=("step",),
    )


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "yes" if value is True else "no" if value is False else str(value)
