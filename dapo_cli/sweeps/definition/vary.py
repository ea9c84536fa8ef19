"""The [[vary]] tables of a sweep: values that hold where a filter does, crossed or, with `zip`, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.errors import BadInput
from dapo_cli.filters import matching
from dapo_cli.filters.grammar import Node
from dapo_cli.sweeps.definition.sweep_file import SWEEP_KEYS, Definition

_NOT_VARIED = (*SWEEP_KEYS, "algo", "env", "seed", "preset")


class Block(NamedTuple):
    """One [[vary]]: the values of `layer` (counted from 0) that hold where `where` does (None: everywhere)."""

    values: Mapping[str, Any]
    where: Node | None
    zipped: bool
    layer: int
    source: str

    def combined(self, axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
        """The values of its names that go together, from the values of each; BadInput for unequal zipped lists."""
        lengths = {name: len(values) for name, values in axes.items()}
        if self.zipped and len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise BadInput(f"the lists of {self.source} go side by side (zip) and differ in length: {said}")
        rows = list(zip(*axes.values(), strict=True) if self.zipped else itertools.product(*axes.values()))
        for index, row in enumerate(rows):
            if self.zipped and row in rows[:index]:
                raise BadInput(f"the lists of {self.source} have the same values side by side twice: take one pair out")
            yield dict(zip(axes, row, strict=True))


def blocks(definition: Definition) -> list[Block]:
    """The [[vary]] tables of all layers in their order. Raises BadInput."""
    definition.all_of("vary")  # refuses what is no list
    return [
        _block(table, number, f"[[vary]] number {position} of {layer['source']}")
        for number, layer in enumerate(definition.layers)
        for position, table in enumerate(layer["content"].get("vary", []), 1)
    ]


def _block(table: Any, layer: int, source: str) -> Block:
    if not isinstance(table, dict):
        raise BadInput(f"{source} is no table: write [[vary]] and below it beta = [0.1, 0.5]")
    values = {name: value for name, value in table.items() if name not in ("where", "zip")}
    if not values:
        raise BadInput(f"{source} varies nothing: give it values, such as beta = [0.1, 0.5], or take it out")
    for name, value in values.items():
        if name in _NOT_VARIED:
            raise BadInput(f"{name} in {source} is not possible: it stands at the top of the file; here, only settings")
        if isinstance(value, dict):
            raise BadInput(f"{name} in {source} is a table: say for what it holds by where = \"algo = '{name}'\"")
    zipped = table.get("zip", False)
    if not isinstance(zipped, bool):
        raise BadInput(f"zip = {zipped!r} in {source} is not possible: zip must be true or false")
    where = matching.read(table["where"], f"where in {source}") if "where" in table else None
    if where is not None and any(comparison.field == "seed" for comparison in matching.comparisons(where)):
        raise BadInput(f"where in {source}: values can't depend on the seed: leave out runs by exclude")
    return Block(values, where, zipped, layer, source)
