"""The settings of many runs at once: their values, where those came from, and their symbols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import select

from store.schema import added
from store.schema.encoding import decode_setting
from store.schema.models import Hyperparameter, Run
from store.session import Database

MANY = 1000  # ids: beyond that, reading every run is quicker and within every database's limit


def values(db: Database, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The hyperparameters of each run: name -> value, those included that a run was made before."""
    query = select(Hyperparameter.run_id, Hyperparameter.name, Hyperparameter.value, Hyperparameter.type)
    runs = select(Run.id, Run.algo)
    if len(ids) <= MANY:
        query, runs = query.where(Hyperparameter.run_id.in_(ids)), runs.where(Run.id.in_(ids))
    settings: dict[str, dict[str, Any]] = {id_: {} for id_ in ids}
    with db.connect() as session:
        for run_id, name, value, type_ in session.execute(query):
            if run_id in settings:
                settings[run_id][name] = _decoded(value, type_)
        for run_id, algo in session.execute(runs):
            if run_id in settings:
                settings[run_id] = added.completed(algo, settings[run_id])
    return settings


def symbols(db: Database, names: Iterable[str]) -> dict[str, str]:
    """The symbols of these hyperparameters, where all algorithms agree on one: name -> as in the papers."""
    query = select(Hyperparameter.name, Hyperparameter.symbol).where(Hyperparameter.symbol.is_not(None)).distinct()
    found: dict[str, set[str]] = {}
    with db.connect() as session:
        for name, symbol in session.execute(query):
            if symbol:
                found.setdefault(name, set()).add(symbol)
    return {name: found[name].pop() for name in sorted(set(names)) if len(found.get(name, ())) == 1}


def origins(db: Database, ids: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Where the values of these settings came from: run id -> name -> origin."""
    query = select(Hyperparameter.run_id, Hyperparameter.name, Hyperparameter.origin)
    wanted: dict[str, dict[str, str]] = {id_: {} for id_ in ids}
    with db.connect() as session:
        for run_id, name, origin in session.execute(query.where(Hyperparameter.name.in_(list(names)))):
            if run_id in wanted:
                wanted[run_id][name] = origin
    return wanted


_decoded = cache(decode_setting)  # a few values, on very many rows
