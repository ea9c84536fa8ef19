"""Runs grouped by keys, and how the groups are named: the rows and columns of tables, the lines of figures."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from itertools import product
from typing import Any

from dapo_cli.analysis.selection.selected import Record

Key = str | float | bool | None
Label = tuple[Key, ...]
"""One value for each of some keys, None where a run has none."""


def labels_of(run: Record, keys: Sequence[str], empty: Collection[str] = ()) -> list[Label]:
    """The labels under which a run counts: one, but with the key `tag` one for each of its tags. `empty` keys: None."""
    values = (
        [None] if key in empty else run["tags"] or [None] if key == "tag" else [_key(run.get(key))] for key in keys
    )
    return list(product(*values))


def group(runs: Iterable[Record], keys: Sequence[str]) -> dict[Label, list[Record]]:
    """Runs by their labels."""
    groups: dict[Label, list[Record]] = {}
    for run in runs:
        for label in labels_of(run, keys):
            groups.setdefault(label, []).append(run)
    return groups


def label_order(label: Label) -> list[tuple[int, float, str]]:
    """The sort key of labels: numbers by value, then text, then None."""
    return [
        (2, 0.0, "") if value is None else (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")
        for value in label
    ]


def label_text(key: str, value: Key) -> str:
    """A label as people read it: names stand for themselves, settings carry theirs."""
    if key in ("algo", "env", "tag", "configuration"):
        return key_text(value) if value is not None else f"no {key}"
    return f"{key} = {key_text(value)}"


def key_text(value: Key) -> str:
    """One key value as text."""
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(value: Any) -> Key:
    if isinstance(value, list):
        return json.dumps(value)
    return "nan" if isinstance(value, float) and math.isnan(value) else value
