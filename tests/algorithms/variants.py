"""Every algorithm that learns from replay, each of its own switches in every position, for both kinds of actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

import algorithms
from algorithms.core.hyperparameters import Hyperparameters
from algorithms.core.types import Spaces

CONTINUOUS = Spaces(observation=4, action=2)
FINITE = Spaces(observation=4, action=2, choices=3)


def learns_from_replay(name: str) -> bool:
    return not algorithms.on_policy(algorithms.load(name))


class Variant:
    """An algorithm with its defaults, or with one of its own switches in another position, on these spaces."""

    def __init__(self, name: str, spaces: Spaces, **switches: object) -> None:
        self.name, self.spaces, self.switches = name, spaces, switches
        self.module = algorithms.load(name)
        kind = ["finite"] if spaces.choices else []
        self.id = " ".join([name, *(f"{key}={value}" for key, value in switches.items()), *kind])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def some_action(self, rng: np.random.Generator) -> NDArray[Any]:
        """An action (A,) of the kind that the replay holds."""
        spaces = self.spaces
        return rng.integers(spaces.choices, size=spaces.action) if spaces.choices else rng.uniform(-1, 1, spaces.action)


def variants() -> Iterator[Variant]:
    """What the spaces admit, and no two that mean the same."""
    for spaces in (CONTINUOUS, FINITE):
        seen = []
        for variant in _all(spaces):
            try:
                resolved = variant.Config(**variant.switches).resolved(spaces)
            except ValueError:
                continue
            if (variant.name, resolved) not in seen:
                seen.append((variant.name, resolved))
                yield variant


def _all(spaces: Spaces) -> Iterator[Variant]:
    for name in filter(learns_from_replay, algorithms.names()):
        if spaces.kind not in algorithms.actions_of(algorithms.load(name)):
            continue  # test_contract says so, once
        yield Variant(name, spaces)
        for key, field in algorithms.load(name).Config.model_fields.items():
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            choices = (False, True) if bool in (field.annotation, *get_args(field.annotation)) else choices
            # What MAMPO's dual network does can only be told where it has one.
            network = {"reading": "network"} if name == "mampo" and key in ("interleaved", "fitted_at") else {}
            if key == "critic_reduction" and name == "sac":  # the critics are the same for all
                yield from (Variant(name, spaces, critic_reduction=value) for value in choices)
            if key not in Hyperparameters.model_fields:
                yield from (
                    Variant(name, spaces, **network, **{key: value}) for value in choices if value != field.default
                )
