"""How new runs are written: the row, its settings, its tags and its first event, for one run or for thousands."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.orm import Session

from store.records import configurations
from store.schema.encoding import clean, encode_json, encode_setting, now
from store.schema.models import Event, Hyperparameter, Run, Tag


class NewRun(NamedTuple):
    """A run to record, as `store.records.runs.create` describes it."""

    run: Mapping[str, Any]
    hyperparameters: Sequence[Mapping[str, Any]] = ()
    tags: Sequence[str] = ()


def new_run_id() -> str:
    """A random id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def insert_runs(session: Session, new: Iterable[NewRun]) -> list[str]:
    """Write them, with a statement for each table, and return their ids."""
    rows: list[dict[str, Any]] = []
    settings: list[dict[str, Any]] = []
    tags: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for run, hyperparameters, words in new:
        encoded_values = [encode_setting(setting["value"]) for setting in hyperparameters]
        row = _row(run, {setting["name"]: setting["value"] for setting in hyperparameters})
        run_id = row["id"]
        rows.append(row)
        for setting, (value, type_) in zip(hyperparameters, encoded_values, strict=True):
            named = {"name": setting["name"], "origin": setting["origin"], "symbol": setting.get("symbol")}
            settings.append({"run_id": run_id, **named, "value": value, "type": type_})
        tags += [{"run_id": run_id, "tag": word} for word in sorted({clean(tag) for tag in words})]
        events.append(event_row(run_id, "created", str(row.get("command") or "created")))
    names = sorted({name for row in rows for name in row})  # one statement for all needs the same columns of each
    for model, values in (
        (Run, [{name: row.get(name) for name in names} for row in rows]),
        (Hyperparameter, settings),
        (Tag, tags),
        (Event, events),
    ):
        if values:
            session.execute(insert(model), values)
    return [str(row["id"]) for row in rows]


def event_row(
    run_id: str, kind: str, message: str, step: int | None = None, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A row of `event`, as of now."""
    row = {"run_id": run_id, "created_at": now(), "step": step, "kind": kind, "message": clean(message)}
    return {**row, "data": encode_json(data)}


def encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of `run` as the table holds them."""
    row = {name: clean(value) if isinstance(value, str) else value for name, value in values.items()}
    versions = row.get("versions")
    if isinstance(versions, dict):
        row["versions"] = encode_json(versions)
    return row


def _row(run: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    time = now()
    started = time if run.get("status", "running") == "running" else None
    row = {"id": new_run_id(), "status": "running", "created_at": time, "started_at": started, "heartbeat_at": started}
    row["configuration"] = configurations.of_row(run, settings)
    defaults = {"kind": "train", "exactness": "exact", "step": 0, "wall_time": 0.0, "attempts": 0}
    return {**defaults, **row, **encoded(run)}
