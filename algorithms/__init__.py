"""The algorithms: one file each, pure functions over tensors. Imports torch only when an algorithm is loaded.

The registry is this folder: a file `dapo_kl.py` is the algorithm `dapo-kl`. Another package adds its own through the
entry-point group `dapo.algorithms` (name -> module). `algorithms.family.contract` says what such a module must offer.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from algorithms.family.contract import Algorithm, OnPolicyAlgorithm
    from algorithms.learner.base import Learner

ENTRY_POINT_GROUP = "dapo.algorithms"
KINDS = ("continuous", "finite")
"""Of actions."""


@cache
def _modules() -> dict[str, str]:
    """Name of every algorithm -> the module that holds it. Ours win over a plug-in of the same name."""
    plug_ins = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    ours = {
        module.name.replace("_", "-"): f"{__name__}.{module.name}"
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_") and not module.ispkg
    }
    return plug_ins | ours


def names() -> list[str]:
    """The names of all algorithms, sorted. Cheap: no algorithm is imported."""
    return sorted(_modules())


def load(name: str) -> Algorithm | OnPolicyAlgorithm:
    """The algorithm of that name. Raises KeyError for an unknown one."""
    return cast("Algorithm | OnPolicyAlgorithm", importlib.import_module(_modules()[name]))


def on_policy(algorithm: object) -> bool:
    """Whether it learns from rollouts instead of replay: its Config says so."""
    from algorithms.core.hyperparameters import OnPolicyHyperparameters

    return issubclass(getattr(algorithm, "Config", object), OnPolicyHyperparameters)


def actions_of(algorithm: object) -> frozenset[str]:
    """The kinds of actions that it handles, of KINDS: what it declares as ACTIONS, else both."""
    return frozenset(getattr(algorithm, "ACTIONS", KINDS))


def learner_of(algorithm: object) -> type[Learner]:
    """The class of the learner that trains this algorithm."""
    if on_policy(algorithm):
        from algorithms.learner.on_policy import OnPolicyLearner

        return OnPolicyLearner
    from algorithms.learner.off_policy import OffPolicyLearner

    return OffPolicyLearner
