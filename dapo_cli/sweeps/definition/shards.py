"""Sweeps without a shared database: each machine trains its part into a database of its own, and `dapo merge` joins.

The same definition gives the same runs in the same order everywhere, so that parts need no one who hands them out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import NamedTuple, TypeVar

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition.sweep_file import Definition

T = TypeVar("T")
_MOST = 100_000


class Shard(NamedTuple):
    """Part `number` of `total`, counted from 1."""

    number: int
    total: int


def parse(text: str) -> Shard:
    """The shard that `3/16` names. Raises BadInput."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count <= _MOST:
        raise BadInput(f"--shard '{text}' is no part of a sweep: write 3/16 for the third of sixteen")
    return Shard(number, count)


def part(runs: Sequence[T], shard: Shard) -> list[T]:
    """A shard's runs: every `total`-th, so that parts differ by one run at most, and mix what is slow and fast.

    Raises BadInput for a part without a run.
    """
    mine = list(runs[shard.number - 1 :: shard.total])
    if not mine:
        raise BadInput(f"--shard {shard.number}/{shard.total}: the sweep has only {len(runs)} runs")
    return mine


def portable(definition: Definition) -> Definition:
    """The same with its files named without their folders, which differ between machines."""
    layers = [{**layer, "source": PurePath(layer["source"]).name} for layer in definition.layers]
    return replace(definition, content={**definition.content, "layers": layers})


def sweep_id(definition: Definition) -> str:
    """The id of a new sweep, 16 hexadecimal digits: the same for the same name and definition on every machine."""
    text = json.dumps([definition.name, portable(definition).content], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
