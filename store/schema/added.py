"""Settings that came after release 0.1, and the value that runs without them had: so old runs and new ones compare.

A setting is declared here together with the algorithm that gains it. Whatever reads settings goes by it: comparisons
and filters see the value, and the configuration of a run leaves it out, so that hashes of old runs stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class As(NamedTuple):
    """The value of another setting of the same run."""

    name: str


class Added(NamedTuple):
    """Runs that have the setting `beside` and lack `name` were made before it, with the value `before`."""

    name: str
    before: Any  # bool, int, float, str, list, None or As
    beside: str
    algos: tuple[str, ...] = ()  # only of these algorithms; empty: of every one

    def concerns(self, algo: str, settings: Mapping[str, Any]) -> bool:
        """Whether a run of this algorithm with these settings has, or would have, the setting."""
        return self.beside in settings and (not self.algos or algo in self.algos)

    def value(self, settings: Mapping[str, Any]) -> Any:
        """What it was in a run with these settings."""
        return settings.get(self.before.name) if isinstance(self.before, As) else self.before


ADDED = (
    Added("temperature_learning_rate", As("learning_rate"), beside="initial_temperature"),
    Added("reading", "regularised", beside="interleaved", algos=("ampo",)),
    Added("fitted_at", "mixed", beside="interleaved"),
    Added("temperature_follows", "policy", beside="orientation"),
    Added("mirror", "tsallis", beside="q"),
    Added("temperature_follows", "policy", beside="samples", algos=("dapo-kl-star",)),
)


def completed(algo: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run on record with those that it was made before, by name."""
    whole = dict(settings)
    for added in ADDED:
        if added.name not in settings and added.concerns(algo, settings):
            whole[added.name] = added.value(settings)
    return whole


def counted(algo: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the added ones that have the value from before them."""
    old = {
        added.name
        for added in ADDED
        if added.name in settings and added.concerns(algo, settings) and settings[added.name] == added.value(settings)
    }
    return {name: value for name, value in settings.items() if name not in old}
