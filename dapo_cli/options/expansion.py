"""Groups of options: a dataclass whose fields are options stands in a command's signature for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any


def expand_groups(function: Callable[..., None]) -> Callable[..., None]:
    """The command with every option of its groups in its signature, as Typer reads it; groups may hold groups."""

    @wraps(function)
    def command(**values: Any) -> None:
        call_with_groups(function, values)

    command.__signature__ = Signature(list(_options(function)))  # type: ignore[attr-defined]
    return command


def call_with_groups(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """What `function` returns for these values of options by name, its groups among the arguments."""
    arguments = {
        parameter.name: call_with_groups(group, values) if group else values[parameter.name]
        for parameter, group in _parameters(function)
    }
    return function(**arguments)


def _options(function: Callable[..., Any]) -> Iterator[Parameter]:
    for parameter, group in _parameters(function):
        if group:
            yield from _options(group)
        else:
            yield parameter.replace(kind=Parameter.KEYWORD_ONLY)


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[Parameter, Any]]:
    """Each parameter with its group, which is None where it is an option itself."""
    for parameter in signature(function, eval_str=True).parameters.values():
        yield parameter, parameter.annotation if is_dataclass(parameter.annotation) else None
