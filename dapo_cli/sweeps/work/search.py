"""A search at work: batch by batch, trials are proposed, trained, watched, given up or scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from dapo_cli.analysis.selection import measures
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import shards
from dapo_cli.sweeps.definition.plan import new_run
from dapo_cli.sweeps.definition.search_space import Search, Trial, hopeless, propose
from dapo_cli.sweeps.definition.sweep_file import Definition
from store.errors import SweepNotFound
from store.queue import pruning, sweeps
from store.records import runs, settings, summaries
from store.schema.models import Run
from store.session import Database

Work = Callable[[Callable[[Database], None]], None]
"""Trains what waits in the queue of the sweep, and calls back with the database about every second."""


class _Proposed(NamedTuple):
    values: dict[str, Any]
    configs: list[RunConfig]


def run(
    location: str, definition: Definition, search: Search, work: Work, say: Callable[[int, Trial], None]
) -> list[Trial]:
    """All trials of a search, in order; `say` hears of each as it ends. Those on record are not trained again.

    Raises BadInput where the sweep of that name is another one, and whatever `work` raises.
    """
    from dapo_cli.training import provenance

    content = shards.portable(definition).content
    trials: list[Trial] = []
    with Database.write(location) as db:
        _refuse_another(db, definition.name, content)
        while len(trials) < search.trials:
            numbers = range(len(trials), min(len(trials) + search.batch, search.trials))
            batch = [_proposed(search, propose(search, number, trials)) for number in numbers]
            known = [_outcome(db, search, one, _on_record(db, one), trials) for one in batch]
            wanted = [
                new_run(config, {"command": provenance.command()})
                for one, trial in zip(batch, known, strict=True)
                if trial is None or not trial.pruned
                for config in one.configs
            ]
            id_ = sweeps.enqueue(db, definition.name, content, wanted, new_id=shards.sweep_id(definition)).sweep_id
            if any(trial is None or (not trial.pruned and trial.score is None) for trial in known):
                work(_Watcher(search, id_, batch, list(trials)).look)
            ended = [_outcome(db, search, one, _on_record(db, one), trials) for one in batch]
            for number, trial in zip(numbers, ended, strict=True):
                if trial is None:
                    raise BadInput(f"runs of trial {number} are no longer in {db.location}: start the search again")
                say(number, trial)
            trials += [trial for trial in ended if trial is not None]
    return trials


def best(search: Search, trials: Sequence[Trial]) -> Trial | None:
    """The trial with the best score, the first of equals; None where none has a score."""
    scored = [trial for trial in trials if trial.score is not None]
    sign = -1.0 if measures.parse(search.measure).lower_is_better else 1.0
    return max(scored, key=lambda trial: sign * (trial.score or 0.0), default=None)


class _Watcher:
    """Gives up, while they train, the trials of a batch that the pruner finds hopeless."""

    def __init__(self, search: Search, sweep_id: str, batch: Sequence[_Proposed], before: Sequence[Trial]) -> None:
        self._search, self._sweep_id, self._before = search, sweep_id, before
        self._batch, self._given_up = batch, set[int]()
        self._seen: dict[int, int] = {}  # number in the batch -> evaluations that have been judged

    def look(self, db: Database) -> None:
        """Judge the evaluations that are new."""
        for number, one in enumerate(self._batch):
            ids = _on_record(db, one)
            if ids is None or number in self._given_up:
                continue
            evaluations = _evaluations(db, ids)
            if len(evaluations) == self._seen.get(number):
                continue
            self._seen[number] = len(evaluations)
            step = _last_step(self._search, one, evaluations, self._before)
            if step is not None:
                self._given_up.add(number)
                pruning.prune(db, self._sweep_id, ids, step)


def _refuse_another(db: Database, name: str, content: Mapping[str, Any]) -> None:
    """Raise BadInput where the sweep of that name is not this search, the number of its trials aside."""
    try:
        held = sweeps.get(db, name)["definition"]
    except SweepNotFound:
        return
    if _without_trials(held) != _without_trials(content):
        raise BadInput(f"there is another sweep '{name}': give this search another name")


def _without_trials(content: Mapping[str, Any]) -> list[Any]:
    layers = []
    for layer in content.get("layers", []):
        table = layer["content"].get("search")
        if isinstance(table, dict):
            rest = {name: value for name, value in table.items() if name != "trials"}
            layer = {**layer, "content": {**layer["content"], "search": rest}}
        layers.append(layer)
    return layers


def _proposed(search: Search, values: dict[str, Any]) -> _Proposed:
    return _Proposed(values, search.configs(values))


def _on_record(db: Database, one: _Proposed) -> list[str] | None:
    """The ids of a trial's runs; None unless all are in the database."""
    ids = sweeps.on_record(db, [new_run(config) for config in one.configs])
    found = [id_ for id_ in ids if id_ is not None]
    return found if len(found) == len(ids) else None


def _evaluations(db: Database, ids: Sequence[str]) -> dict[int, float]:
    """The mean return over a trial's seeds at each step where all have been evaluated."""
    curves = [dict(zip(*curve, strict=True)) for curve in summaries.evaluation_curves(db, Run.id.in_(ids)).values()]
    if len(curves) < len(set(ids)):
        return {}
    steps = set(curves[0]).intersection(*curves[1:])
    means = {step: fmean(curve[step] for curve in curves) for step in sorted(steps)}
    return {step: mean for step, mean in means.items() if math.isfinite(mean)}


def _last_step(search: Search, one: _Proposed, evaluations: Mapping[int, float], before: Sequence[Trial]) -> int | None:
    """The step after which the trial was, or is to be, given up: the first that is hopeless; never the last of all."""
    steps = [step for step in sorted(evaluations) if step < one.configs[0].settings.steps]
    for count in range(1, len(steps) + 1):
        seen = {step: evaluations[step] for step in steps[:count]}
        if hopeless(search, one.values, seen, before):
            return steps[count - 1]
    return None


def _outcome(
    db: Database, search: Search, one: _Proposed, ids: list[str] | None, before: Sequence[Trial]
) -> Trial | None:
    """What the record says of a trial; None where not all of its runs are there.

    Whether it was given up follows from its evaluations alone, so that it does not matter when somebody looked.
    """
    if ids is None:
        return None
    evaluations = _evaluations(db, ids)
    step = _last_step(search, one, evaluations, before)
    if step is not None:
        return Trial(one.values, None, {at: mean for at, mean in evaluations.items() if at <= step}, True)
    rows = runs.listing(db, where=Run.id.in_(ids))
    values = settings.values(db, ids)
    records: list[Record] = [{**values[row["id"]], **row} for row in rows if row["status"] == "completed"]
    scores = measures.scores(db, records, measures.parse(search.measure)).values()
    sound = len(scores) == len(set(ids)) and all(map(math.isfinite, scores))
    return Trial(one.values, fmean(scores) if sound else None, evaluations, False)
