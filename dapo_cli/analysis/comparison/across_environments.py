"""What runs say over all environments together: aggregates, performance profiles, probabilities of improvement.

Environments have equal weight (Agarwal et al. 2021, arXiv:2108.13264).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.analysis.selection.selected import SEE_RUNS, without_evaluations
from dapo_cli.errors import BadInput
from dapo_cli.statistics.bootstrap import Floats
from dapo_cli.statistics.estimates import STATISTICS, Estimate

if TYPE_CHECKING:
    from store.session import Database

MOST_THRESHOLDS = 500  # of a profile: where runs have more scores, it is drawn at so many points between them


class Profile(NamedTuple):
    """The fraction of runs above each threshold, with its pointwise band: each (k,)."""

    thresholds: Floats
    value: Floats
    low: Floats
    high: Floats


class Pair(NamedTuple):
    """How probable it is that a run of `row` is better than one of `other`; `environments` that both have runs on."""

    row: Label
    other: Label
    estimate: Estimate
    environments: int


@dataclass(frozen=True)
class Overall:
    """Rows of a comparison pooled over environments; `strata`: row -> environment -> scores."""

    table: Table
    strata: Mapping[Label, Mapping[str, tuple[float, ...]]]
    marks: Mapping[Label, tuple[int, ...]]  # the numbers of the table's footnotes

    @property
    def labels(self) -> list[Label]:
        """The rows that have runs."""
        return list(self.strata)

    @property
    def environments(self) -> list[str]:
        """Those of any row."""
        return sorted({env for strata in self.strata.values() for env in strata})

    def runs(self, label: Label) -> int:
        """The number of a row's runs."""
        return sum(map(len, self.strata[label].values()))

    def keys(self, label: Label) -> dict[str, Any]:
        """The row's keys."""
        return dict(zip(self.table.rows, label, strict=True))


def collect(database: Database, request: Request) -> Overall:
    """The runs of each row. With normalised scores the columns are pooled; raises BadInput as `tables.build`."""
    request = replace(request, cols=() if request.normalise else ("env",))
    table = build.build(database, request)
    if not table.counts:
        reasons = "".join(f" ({note})" for note in table.notes)
        raise BadInput(f"no run to draw{reasons}: {without_evaluations(table.notes) or SEE_RUNS}")
    strata: dict[Label, dict[str, tuple[float, ...]]] = {}
    for row in table.row_labels:
        own = {env: scores for cell in _row(table, row) for env, scores in cell.strata.items()}
        if own:
            strata[row] = dict(sorted(own.items()))
    texts = {row: _remarks(table, row) for row in strata}
    several = len({env for own in strata.values() for env in own})
    for row, own in strata.items():
        if len(own) < several and not request.normalise:  # else the table says so
            texts[row].append(f"runs on {len(own)} of the {several} environments")
    footnotes = list(dict.fromkeys(text for row in strata for text in texts[row]))
    marks = {row: tuple(footnotes.index(text) for text in texts[row]) for row in strata}
    return Overall(replace(table, footnotes=tuple(footnotes)), strata, marks)


def aggregates(overall: Overall) -> dict[Label, dict[str, Estimate]]:
    """Mean, median, interquartile mean and, of normalised scores, optimality gap of each row.

    Without normalisation the runs must be on one environment; raises BadInput.
    """
    request = overall.table.request
    if request.normalise is None and len(overall.environments) > 1:
        raise BadInput(
            "scores on different environments have no common mean: choose one environment with --where, "
            "or normalise returns, such as by --normalise sac"
        )
    wanted = [name for name in STATISTICS if name != "gap" or request.normalise]
    return {
        row: {name: build.statistic_of(strata, replace(request, statistic=name)) for name in wanted}
        for row, strata in overall.strata.items()
    }


def profiles(overall: Overall) -> dict[Label, Profile]:
    """The performance profile of each row, exact at the score of every run; raises BadInput without normalisation."""
    from dapo_cli.statistics.profiles import profile

    request = overall.table.request
    if request.normalise is None:
        raise BadInput("a profile compares normalised scores: add --normalise, such as --normalise sac")
    scores = [x for own in overall.strata.values() for column in own.values() for x in column if math.isfinite(x)]
    if not scores:
        raise BadInput("no run has a score that is a number: choose others with --where")
    low, high = min(0.0, *scores), max(1.0, *scores)
    margin = 0.02 * (high - low)
    thresholds = np.unique([low - margin, *scores, high + margin])
    if len(thresholds) > MOST_THRESHOLDS:
        thresholds = np.linspace(low - margin, high + margin, MOST_THRESHOLDS)
    return {
        row: Profile(
            thresholds,
            *profile(list(strata.values()), thresholds.tolist(), resamples=request.resamples, seed=request.seed),
        )
        for row, strata in overall.strata.items()
    }


def improvements(overall: Overall) -> list[Pair]:
    """Every row against the request's base, or every pair of rows, in the order of the table."""
    table = overall.table
    if len(overall.strata) < 2:
        raise BadInput("one row cannot be better than another: choose more runs, or name keys with --by")
    if table.base is not None:
        pairs = [(row, table.base) for row in overall.strata if row != table.base]
    else:
        pairs = list(combinations(overall.strata, 2))
    return [_pair(overall, row, other) for row, other in pairs]


def _pair(overall: Overall, row: Label, other: Label) -> Pair:
    from dapo_cli.statistics.differences import improvement

    request = overall.table.request
    envs = sorted(overall.strata[row].keys() & overall.strata[other].keys())
    sign = -1 if request.measure.lower_is_better else 1
    ours, theirs = ([[sign * x for x in overall.strata[one][env]] for env in envs] for one in (row, other))
    return Pair(row, other, improvement(ours, theirs, resamples=request.resamples, seed=request.seed), len(envs))


def _row(table: Table, row: Label) -> Sequence[Cell]:
    return [cell for (label, _), cell in table.cells.items() if label == row and cell.runs]


def _remarks(table: Table, row: Label) -> list[str]:
    """The footnotes of a row's cells, each with its environment where cells have one."""
    return [
        f"{col[0]}: {table.footnotes[mark]}" if len(table.col_labels) > 1 else table.footnotes[mark]
        for col in table.col_labels
        if (cell := table.at(row, col)) is not None and cell.runs
        for mark in cell.marks
    ]
