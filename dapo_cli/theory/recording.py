"""Theory runs in a results database: `kind` "theory", one run for each line and MDP, one step for each iteration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

KIND = "theory"


class Entry(NamedTuple):
    """One run of policy mirror descent on one MDP."""

    algo: str  # such as pmd-kl
    env: str  # such as garnet-20-5
    seed: int
    settings: Mapping[str, Any]
    returns: Mapping[int, float]  # iteration -> V^k(ρ)
    metrics: Mapping[str, Mapping[int, float]]  # name -> iteration -> value


def record(location: str, entries: Iterable[Entry], columns: Mapping[str, Any]) -> int:
    """Writes them and returns how many; `columns` are those of `run` that say what produced them."""
    count = 0
    with Database.write(location) as database:
        for entry in entries:
            _record(database, entry, columns)
            count += 1
    return count


def _record(database: Database, entry: Entry, columns: Mapping[str, Any]) -> None:
    steps = max([*entry.returns, *(step for values in entry.metrics.values() for step in values)])
    row = {**columns, "kind": KIND, "algo": entry.algo, "env": entry.env, "seed": entry.seed, "steps": steps}
    settings = [{"name": name, "value": value, "origin": "default"} for name, value in entry.settings.items()]
    recorder = Recorder(database, runs.create(database, run=row, hyperparameters=settings, tags=[KIND]))
    for step, value in entry.returns.items():
        recorder.evaluation(step, "mean", 0, value, 0)
    for name, values in entry.metrics.items():
        for step, value in values.items():
            recorder.metrics(step, {name: value})
    recorder.progress(steps, 0.0)
    recorder.close("completed")
