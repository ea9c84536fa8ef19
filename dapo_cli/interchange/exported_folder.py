"""The folder of CSV files that `dapo export` writes, read back: every run in it, as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dapo_cli.errors import BadInput
from dapo_cli.interchange import log_files
from dapo_cli.interchange.logs import TERMINATED, TRUNCATED, Log
from store.schema.models import ORIGINS

FILES = ("runs.csv", "episodes.csv", "evaluations.csv", "metrics.csv", "hyperparameters.csv")
_KEPT = ("kind", "reason", "exactness", "note", "parent", "commit", "processor", "device", "backend", "versions")
_FINAL = ("completed", "diverged", "failed")
_BOOLEANS = {"true": True, "false": False}


class _Rows:
    """The rows of a file, which are grouped by run in the order of runs.csv."""

    def __init__(self, path: Path) -> None:
        self._rows = log_files.table(path, log_files.lines(path))
        self._next = next(self._rows, None)

    def of(self, run_id: str, digest: Any) -> Iterator[tuple[str, dict[str, str]]]:
        while self._next is not None and log_files.column(*self._next, "run_id") == run_id:
            place, row = self._next
            digest.update(repr(sorted(row.items())).encode("utf-8", "backslashreplace"))
            yield place, row
            self._next = next(self._rows, None)

    def check_end(self) -> None:
        if self._next is not None:
            place, row = self._next
            raise BadInput(f"{place}: run '{row['run_id'][:40]}' is not the next one of runs.csv: export again")


def read(path: Path) -> Iterator[Log]:
    """The runs of an export, one after the other. Raises BadInput, also after the last one."""
    tables = {name: _Rows(path / name) for name in FILES[1:]}
    for place, row in log_files.table(path / FILES[0], log_files.lines(path / FILES[0])):
        yield _run(path, place, row, tables)
    for rows in tables.values():
        rows.check_end()


def _run(path: Path, place: str, row: dict[str, str], tables: dict[str, _Rows]) -> Log:
    run_id = log_files.column(place, row, "id")
    digest = hashlib.sha256(repr(sorted(row.items())).encode("utf-8", "backslashreplace"))
    log = Log(source=row.get("source") or "dapo export", path=path, original=run_id)
    log.algo, log.env = log_files.column(place, row, "algo"), log_files.column(place, row, "env")
    log.seed = log_files.as_seed(log_files.column(place, row, "seed"))
    log.wall_time = log_files.seconds(place, "wall_time", log_files.column(place, row, "wall_time"))
    status = log_files.column(place, row, "status")
    if row.get("kind") not in ("train", "tuning"):
        raise BadInput(f"{place}: kind is '{row.get('kind', '')[:40]}': export again")
    log.run = {name: row[name] for name in _KEPT if row.get(name)} | {
        "status": status if status in _FINAL else "interrupted",
        "steps": log_files.whole(place, "steps", log_files.column(place, row, "steps")),
        "dirty": _BOOLEANS.get(row.get("dirty", "")),
        "compiled": _BOOLEANS.get(row.get("compiled", "")),
        "threads": log_files.whole(place, "threads", row["threads"]) if row.get("threads") else None,
    }
    if row.get("versions"):
        log_files.json_object(place, row["versions"])
    log.tags = [str(tag) for tag in _json(place, "tags", row.get("tags") or "[]", list)]
    for where, item in tables["episodes.csv"].of(run_id, digest):
        log.ends.append(
            TERMINATED * _boolean(where, "terminated", item) + TRUNCATED * _boolean(where, "truncated", item)
        )
        time = log_files.seconds(where, "wall_time", log_files.column(where, item, "wall_time"))
        log.episodes.add(where, *_return(where, item), time, once=False)
    for where, item in tables["evaluations.csv"].of(run_id, digest):
        actions = log_files.column(where, item, "actions")
        if actions not in ("mean", "sampled"):
            raise BadInput(f"{where}: actions is '{actions[:40]}', neither mean nor sampled: export again")
        log.evaluation(actions).add(where, *_return(where, item), once=False)
    for where, item in tables["metrics.csv"].of(run_id, digest):
        value = log_files.number(where, "value", log_files.column(where, item, "value"))
        step = log_files.whole(where, "step", log_files.column(where, item, "step"))
        log.metric(log_files.column(where, item, "name")).add(where, step, value, once=True)
    log.settings = [_setting(*pair) for pair in tables["hyperparameters.csv"].of(run_id, digest)]
    if int(log.run["steps"]) < log.last_step:
        raise BadInput(
            f"{place}: steps is {log.run['steps']}, and there are rows of step {log.last_step}: export again"
        )
    log.sha256 = digest.hexdigest()
    return log


def _return(place: str, row: dict[str, str]) -> tuple[int, float, int]:
    step = log_files.whole(place, "step", log_files.column(place, row, "step"))
    return_ = log_files.number(place, "return", log_files.column(place, row, "return"))
    return step, return_, log_files.whole(place, "length", log_files.column(place, row, "length"))


def _boolean(place: str, name: str, row: dict[str, str]) -> bool:
    text = log_files.column(place, row, name)
    if text not in _BOOLEANS:
        raise BadInput(f"{place}: {name} is '{text[:40]}', neither true nor false: export again")
    return _BOOLEANS[text]


def _setting(place: str, row: dict[str, str]) -> dict[str, Any]:
    text, kind, origin = (log_files.column(place, row, name) for name in ("value", "type", "origin"))
    if origin not in ORIGINS:
        raise BadInput(f"{place}: origin is '{origin[:40]}', none of {', '.join(ORIGINS)}: export again")
    types = {"bool": bool, "int": int, "float": float, "list": list}
    value = text if kind == "str" else None if kind == "null" else _json(place, "value", text, types.get(kind, bool))
    symbol = row.get("symbol") or None
    return {"name": log_files.column(place, row, "name"), "value": value, "origin": origin, "symbol": symbol}


def _json(place: str, name: str, text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if type(value) is not kind:
        raise BadInput(f"{place}: {name} is '{text[:40]}', no {kind.__name__}: export again")
    return value
