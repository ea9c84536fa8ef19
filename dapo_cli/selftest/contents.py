"""What a run came to, as hashes: every row, every transition, every tensor, every counter. Wall times are left out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from store.records import runs, streaming
from store.records.streaming import Hash, hash_of
from store.session import Database

ROWS = ("episode", "evaluation", "metric")


def contents(db: Database, run_id: str) -> dict[str, Hash]:
    """Rows by table; `transition` (all that the replay holds), `tensor` and `counter` of the last checkpoint.

    The run must have kept its replay. A float is hashed as the shortest decimal that gives it back: bit for bit.
    """
    found = {}
    with db.connect() as session:
        for table in ROWS:
            found[table] = streaming.hash_rows(session, table, run_id)
    folder = db.run_folder(run_id)
    place = folder / runs.checkpoints(db, run_id)[0]["path"]
    manifest = json.loads((place / "manifest.json").read_text())
    found["transition"] = _transitions(folder / "replay", manifest["replay"])
    with safe_open(place / "tensors.safetensors", framework="numpy") as file:
        names = sorted(file.keys())
        found["tensor"] = hash_of(_tensor(name, file.get_tensor(name)) for name in names)
    counters = manifest["learner"] | {key: value for key, value in manifest["loop"].items() if key != "wall_time"}
    found["counter"] = hash_of(
        f"{name} {json.dumps(counters[name], sort_keys=True)}".encode() for name in sorted(counters)
    )
    return found


def _transitions(folder: Path, segments: list[dict[str, Any]]) -> Hash:
    # However many checkpoints wrote them, and wherever one of them ended: the transitions are the same.
    hashed, stop = hashlib.sha256(), 0
    for segment in segments:
        with safe_open(folder / segment["file"], framework="numpy") as file:
            hashed.update(file.get_tensor("rows").tobytes())
        stop = segment["stop"]
    return Hash(stop, hashed.hexdigest())


def _tensor(name: str, tensor: Any) -> bytes:
    content: bytes = tensor.tobytes()
    return f"{name} {tensor.dtype} {tensor.shape} ".encode() + content
