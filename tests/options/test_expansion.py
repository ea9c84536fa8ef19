"""Groups of options in the signature of a command."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import typer

from dapo_cli.options.expansion import call_with_groups, expand_groups


@dataclass(frozen=True, kw_only=True)
class Inner:
    b: Annotated[int, typer.Option("--bee", min=1)] = 2


@dataclass(frozen=True, kw_only=True)
class Outer:
    a: str = "x"
    inner: Inner
    c: bool = False


def test_options_stand_where_their_group_does_and_arrive_as_an_object():
    seen = []

    @expand_groups
    def command(*, first: str, group: Outer, last: str = "y") -> None:
        seen.append((first, group, last))

    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", "a", "b", "c", "last"]
    assert {name: one.default for name, one in parameters.items() if name != "first"} == {
        "a": "x",
        "b": 2,
        "c": False,
        "last": "y",
    }
    command(first="1", a="2", b=3, c=True, last="4")
    assert seen == [("1", Outer(a="2", inner=Inner(b=3), c=True), "4")]


def test_values_that_no_group_asks_for_are_passed_over():
    assert call_with_groups(Inner, {"b": 5, "db": None}) == Inner(b=5)
