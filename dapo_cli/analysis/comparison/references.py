"""What a return is measured against: a random policy's, and a reference's that stands for 1."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from dapo_cli.configuration.project_file import read_toml
from dapo_cli.errors import BadInput


@dataclass(frozen=True)
class References:
    """Returns by environment: of the uniformly random policy, and of what a normalised score of 1 stands for."""

    random: Mapping[str, float]
    reference: Mapping[str, float] = field(default_factory=dict)

    def normalised(self, score: float, env: str) -> float:
        """0 for the random policy, 1 for the reference; NaN where one of the two is unknown."""
        low, high = self.random.get(env, math.nan), self.reference.get(env, math.nan)
        return (score - low) / (high - low) if high != low else math.nan


def read(file: str | None) -> References:
    """The shipped returns of random policies, and over them a user's file.

    The file has a table for each environment, such as `["Hopper-v4"]`, with `random`, `reference` or both. Raises
    BadInput.
    """
    random: dict[str, float] = dict(_shipped())
    reference: dict[str, float] = {}
    for env, entry in (read_toml(Path(file)) if file else {}).items():
        if not isinstance(entry, dict) or not entry.keys() <= {"random", "reference"}:
            raise BadInput(
                f'--references: {file}: under ["{env}"] stand random = …, reference = … or both, and nothing else'
            )
        for name, target in (("random", random), ("reference", reference)):
            if name in entry:
                target[env] = _number(entry[name], f"{file}: {name} of {env}")
    return References(random, reference)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"--references: {what} is {value!r}: a return must stand there")
    return float(value)


@cache
def _shipped() -> dict[str, float]:
    """Measured by benchmarks/random_policy.py."""
    text = (resources.files("dapo_cli") / "references" / "random.toml").read_text(encoding="utf-8")
    return {env: float(entry["mean"]) for env, entry in tomllib.loads(text).items()}
