"""What a run is judged by: one number for each run, its score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement

from dapo_cli.errors import BadInput, did_you_mean
from store.records import summaries
from store.records.settings import MANY
from store.schema.models import Run

if TYPE_CHECKING:
    from dapo_cli.analysis.selection.selected import Record
    from store.session import Database

TRAINING_WINDOW = 100  # episodes of final-train


@dataclass(frozen=True)
class Measure:
    """One of NAMES; `threshold` is the return R of `steps-to R`, `metric` the diagnostic of `last:NAME`."""

    name: str
    threshold: float = math.nan
    metric: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.metric or format(self.threshold, 'g')}" if self.name in _WITH_MORE else self.name

    @property
    def is_return(self) -> bool:
        """Whether it is in the units of a return, so that a random policy has it, too."""
        return self.name not in (STEPS_TO, LAST, "speed")

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller score is the better one."""
        return self.name == STEPS_TO

    @property
    def evaluates(self) -> bool:
        """Whether it rests on evaluations, and so on how they were made."""
        return self.name not in ("final-train", LAST, "speed")

    @property
    def has_best(self) -> bool:
        """Whether a higher or a lower score is the better one."""
        return self.name not in (LAST, "speed")

    @property
    def title(self) -> str:
        """As a caption begins."""
        if self.name == LAST:
            return f"Last {self.metric}"
        return f"Steps to a return of {self.threshold:g}" if self.name == STEPS_TO else _KINDS[self.name].title

    @property
    def meaning(self) -> str:
        """What one run's score is, for a caption."""
        return _KINDS[self.name].meaning


@dataclass(frozen=True)
class _Kind:
    title: str
    meaning: str
    scores: Callable[[Database, ColumnElement[bool] | None, Measure], dict[str, float]]


def parse(text: str) -> Measure:
    """The measure of this name; raises BadInput for an unknown one."""
    name, colon, threshold = text.partition(":")
    if name not in _KINDS:
        raise BadInput(f"no measure '{text}': {did_you_mean(name, map(_WITH_MORE.get, NAMES, NAMES))}")
    if (name in _WITH_MORE) != bool(threshold):
        raise BadInput(f"'{text}' is none: write {_WITH_MORE.get(name, name)}")
    if not colon:
        return Measure(name)
    if name == LAST:
        return Measure(name, metric=threshold)
    try:
        value = float(threshold)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"'{threshold}' is no return: write steps-to:R with a number, such as steps-to:3000")
    return Measure(name, value)


def scores(database: Database, runs: list[Record], measure: Measure) -> dict[str, float]:
    """The score of each run that has one, by id: NaN where it rests on a return that is, inf where R is not reached.

    A run that diverged has the score of what it recorded before. Raises BadInput for a diagnostic that no run has.
    """
    ids = [run["id"] for run in runs]
    found = _KINDS[measure.name].scores(database, Run.id.in_(ids) if len(ids) <= MANY else None, measure)
    if measure.name == LAST and ids and not found.keys() & set(ids):
        remedy = did_you_mean(measure.metric, summaries.metric_names(database, ids))
        raise BadInput(f"--measure: no run recorded '{measure.metric}': {remedy}")
    return {id_: found[id_] for id_ in ids if id_ in found}


def area(steps: list[int], means: list[float]) -> float:
    """The mean height of a curve between its first step and its last: the trapezoidal area over the width."""
    if len(steps) == 1:
        return means[0]
    parts = zip(steps, steps[1:], means, means[1:], strict=False)
    return math.fsum((right - left) * (low + high) / 2 for left, right, low, high in parts) / (steps[-1] - steps[0])


def _final(actions: str) -> Callable[..., dict[str, float]]:
    def of_runs(database: Database, where: ColumnElement[bool] | None, _: Measure) -> dict[str, float]:
        return _means(summaries.final_evaluation(database, where, actions))

    return of_runs


def _final_train(database: Database, where: ColumnElement[bool] | None, _: Measure) -> dict[str, float]:
    return _means(summaries.final_training(database, where, TRAINING_WINDOW))


def _best(database: Database, where: ColumnElement[bool] | None, _: Measure) -> dict[str, float]:
    curves = summaries.evaluation_curves(database, where)
    return {id_: max(means) if not any(map(math.isnan, means)) else math.nan for id_, (_, means) in curves.items()}


def _auc(database: Database, where: ColumnElement[bool] | None, _: Measure) -> dict[str, float]:
    return {id_: area(*curve) for id_, curve in summaries.evaluation_curves(database, where).items()}


def _steps_to(database: Database, where: ColumnElement[bool] | None, measure: Measure) -> dict[str, float]:
    curves = summaries.evaluation_curves(database, where)
    return {
        id_: next((float(step) for step, mean in zip(*curve, strict=True) if mean >= measure.threshold), math.inf)
        for id_, curve in curves.items()
    }


def _speed(database: Database, where: ColumnElement[bool] | None, _: Measure) -> dict[str, float]:
    return summaries.speeds(database, where)


def _last(database: Database, where: ColumnElement[bool] | None, measure: Measure) -> dict[str, float]:
    return summaries.last_metric(database, measure.metric, where)


def _means(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {id_: row["mean"] for id_, row in found.items()}


FINAL, STEPS_TO, LAST = "final", "steps-to", "last"
_WITH_MORE = {STEPS_TO: "steps-to:R, such as steps-to:3000", LAST: "last:NAME, such as last:dual_error"}
_KINDS = {
    FINAL: _Kind("Final return", "the mean return of its last evaluation, with mean actions", _final("mean")),
    "final-sampled": _Kind(
        "Final return, sampled actions",
        "the mean return of its last evaluation with sampled actions",
        _final("sampled"),
    ),
    "final-train": _Kind(
        "Final training return", f"the mean return of its last {TRAINING_WINDOW} training episodes", _final_train
    ),
    "best": _Kind(
        "Best return", "the highest mean return of its evaluations: optimistic, as it picks the luckiest", _best
    ),
    "auc": _Kind("Mean return over training", "the area under its evaluations over the steps between them", _auc),
    "speed": _Kind("Speed", "environment steps per second of training", _speed),
    LAST: _Kind("", "the last value of this diagnostic", _last),
    STEPS_TO: _Kind("", "the steps at its first evaluation of at least that return", _steps_to),
}
NAMES = tuple(_KINDS)
"""The measures that `--measure` takes; the last two with a diagnostic and with a return."""
