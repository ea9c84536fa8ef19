"""What of the theory's results goes into a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from dapo_cli.theory import rates, sac_limit
from dapo_cli.theory.rates import Line
from dapo_cli.theory.recording import Entry
from dapo_cli.theory.sac_limit import Run


def of_rates(lines: Sequence[Line], seed: int) -> Iterator[Entry]:
    """A run for each line and MDP; the `seed` of the i-th is the command's plus i. A line drawn twice counts once."""
    for line in {(line.algo, *line.settings.items()): line for line in lines}.values():
        gamma = rates.ERROR_GAMMA if line.panel == rates.ERROR else rates.GAMMA
        for index in range(line.gap.shape[1]):
            metrics = {"gap": _by_step(line.gap, index)}
            if line.bound is not None:
                metrics["bound"] = _by_step(line.bound, index)
            settings = {"gamma": gamma, **line.settings}
            yield Entry(line.algo, _environment(gamma), seed + index, settings, _by_step(line.value, index), metrics)


def of_sac(runs: Sequence[Run], seed: int) -> Iterator[Entry]:
    """A run for each β and MDP."""
    for run in runs:
        for index in range(run.error.shape[1]):
            metrics = {"gap": _by_step(run.error, index, 1), "bound": _by_step(run.bound, index, 1)}
            settings = {"gamma": rates.GAMMA, "tau": sac_limit.TAU, "beta": run.beta, "step": "constant"}
            values = _by_step(run.value, index, 1)
            yield Entry("pmd-soft-kl", _environment(rates.GAMMA), seed + index, settings, values, metrics)


def of_statements(statements: Sequence[dict[str, Any]], seed: int) -> Iterator[Entry]:
    """A run for each statement and mirror map: the tightest ratio of measured to bound from these iterations on."""
    for statement in statements:
        for tally in statement["mirror_maps"]:
            ratios = {int(first): value for first, value in tally["tightest_ratio"].items() if value is not None}
            settings = {"instances": tally["instances"], "violations": tally["violations"], "checked": tally["checked"]}
            metrics = {"tightest_ratio": ratios}
            yield Entry(f"pmd-{tally['name']}", f"theorem-{statement['name']}", seed, settings, {}, metrics)


def _environment(gamma: float) -> str:
    return f"garnet-{rates.STATES}-{rates.ACTIONS}-gamma-{gamma:g}"


def _by_step(values: Tensor, index: int, first: int = 0) -> dict[int, float]:
    return dict(enumerate(values[:, index].tolist(), first))
