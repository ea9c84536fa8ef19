"""A filter on configurations that do not run yet: the grammar of `--where`, judged on the values of one configuration.

As on recorded runs (`dapo_cli.filters.sql`), what a configuration does not have is null, and a comparison is
either true or false.
"""

from __future__ import annotations

import contextlib
import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dapo_cli.errors import BadInput, naming
from dapo_cli.filters.grammar import AllOf, AnyOf, Comparison, Node, Not, contains, parse

_RANGES: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def read(text: Any, place: str) -> Node:
    """The tree of a filter; `place` is what errors call it. Raises BadInput."""
    if not isinstance(text, str):
        raise BadInput(f"{place} is no filter: write one in quotes, such as \"algo = 'sac' and m > 1\"")
    with naming(place):
        tree = parse(text)
    for comparison in comparisons(tree):
        literal = comparison.literals[0]
        if comparison.operator in _RANGES and literal.number is None:
            raise BadInput(f"{place}: {comparison.field} {comparison.operator} '{literal.text}': write a number there")
    return tree


def comparisons(node: Node) -> Iterator[Comparison]:
    """Every comparison of a filter."""
    match node:
        case AllOf(nodes) | AnyOf(nodes):
            for inner in nodes:
                yield from comparisons(inner)
        case Not(inner):
            yield from comparisons(inner)
        case Comparison():
            yield node


def holds(node: Node, values: Mapping[str, Any]) -> bool:
    """Whether a filter is true of these values by name. Raises BadInput for one that is not known yet."""
    match node:
        case AllOf(nodes):
            return all(holds(inner, values) for inner in nodes)
        case AnyOf(nodes):
            return any(holds(inner, values) for inner in nodes)
        case Not(inner):
            return not holds(inner, values)
    if node.operator in ("!=", "!~"):
        return not holds(node._replace(operator="=" if node.operator == "!=" else "~"), values)
    return _compare(node, values.get(node.field))


def _compare(node: Comparison, value: Any) -> bool:
    if value is None:
        return node.operator == "=" and any(literal.null for literal in node.literals)
    literals = [literal for literal in node.literals if not literal.null]
    if value == "auto" and node.field != "temperature" and any(literal.text != "auto" for literal in literals):
        raise BadInput(
            f"{node.field} is auto, and has its value only when the environment is made: "
            f"give it a value before a condition on it"
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if node.operator in _RANGES:
        return number and _RANGES[node.operator](value, literals[0].number)
    text = value if isinstance(value, str) else json.dumps(list(value) if isinstance(value, tuple) else value)
    if node.operator == "~":
        return any(contains(text, literal.text) for literal in literals)
    if number:
        return any(literal.number == value or (literal.nan and math.isnan(value)) for literal in literals)
    return any(_canonical(literal.text) == text for literal in literals)


def _canonical(text: str) -> str:
    """A list however its blanks were typed."""
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            return json.dumps(json.loads(text))
    return text
