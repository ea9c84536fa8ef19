"""Every algorithm, and each of its own switches in every position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import algorithms
from algorithms._hyperparameters import Hyperparameters


class Variant:
    """An algorithm with its defaults, or with one of its own switches in another position."""

    def __init__(self, name: str, **switches: object) -> None:
        self.name, self.module, self.switches = name, algorithms.load(name), switches
        self.id = " ".join([name, *(f"{key}={value}" for key, value in switches.items())])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def variants() -> Iterator[Variant]:
    for name in algorithms.names():
        yield Variant(name)
        for key, field in algorithms.load(name).Config.model_fields.items():
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            choices = (False, True) if field.annotation is bool else choices
            if key not in Hyperparameters.model_fields:
                yield from (Variant(name, **{key: value}) for value in choices if value != field.default)
