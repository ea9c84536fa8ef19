"""What a run computes, as one hash: two runs with the same one give the same numbers, so that one of them is enough."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.schema import added
from store.schema.encoding import decode_setting
from store.schema.models import Hyperparameter, Run

WITHOUT_EFFECT = ("keep_replay", "checkpoint_every")
"""Settings that change no episode, no evaluation and no diagnostic: what is kept on disk, and how often."""

TRAINED = ("train", "tuning")
"""The kinds of runs that have a configuration."""

_AT_ONCE = 500  # ids in one statement: within every database's limit on parameters


def configuration(algo: str, env: str, seed: int, settings: Mapping[str, Any]) -> str:
    """The SHA-256 of everything that determines a run's result: 64 hexadecimal digits.

    `settings` are all resolved settings and hyperparameters, name -> value (bool, int, float, str, list or None). What
    the run is for (its kind), its tags and its note do not count, nor does the machine: on another one, the same
    configuration may differ in the last bit. A setting that a later dapo added does not count at the value from before.
    """
    counted = {name: value for name, value in added.counted(algo, settings).items() if name not in WITHOUT_EFFECT}
    whole = {"algo": algo, "env": env, "seed": seed, "settings": counted}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def of_row(run: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The configuration of a row of `run`; None for one that is not trained here from its beginning."""
    if run.get("kind", "train") not in TRAINED or run.get("source") or run.get("parent") or not settings:
        return None
    return configuration(run["algo"], run["env"], run["seed"], settings)


def fill(session: Session) -> None:
    """Compute the configuration of runs that lack it: those of a dapo that knew of none."""
    lacking = Run.configuration.is_(None) & Run.kind.in_(TRAINED) & Run.source.is_(None) & Run.parent.is_(None)
    rows = session.execute(select(Run.id, Run.algo, Run.env, Run.seed).where(lacking)).all()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        settings = _settings(session, [row.id for row in part])
        for row in part:
            if settings[row.id]:
                hash_ = configuration(row.algo, row.env, row.seed, settings[row.id])
                session.execute(update(Run).where(Run.id == row.id).values(configuration=hash_))


def _settings(session: Session, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    settings: dict[str, dict[str, Any]] = {run_id: {} for run_id in ids}
    query = select(Hyperparameter.run_id, Hyperparameter.name, Hyperparameter.value, Hyperparameter.type)
    for run_id, name, value, type_ in session.execute(query.where(Hyperparameter.run_id.in_(settings))):
        settings[run_id][name] = decode_setting(value, type_)
    return settings
