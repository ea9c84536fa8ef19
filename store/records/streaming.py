"""Rows of one table, run by run, as they are needed: a million episodes are never in memory at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.schema.encoding import join_number
from store.schema.models import Base

_AT_ONCE = 10_000  # rows fetched together


def columns(table: str) -> dict[str, type]:
    """The published columns of a table by name, with their Python types; a number and its kind are one column."""
    types = {name: column.type.python_type for name, column in Base.metadata.tables[table].c.items()}
    return {name: type_ for name, type_ in types.items() if not _is_kind(name, types)}


def rows(session: Session, table: str, run_ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of these runs, in the order of the runs and then of the primary key; values as `columns` has them.

    Numbers that are not finite are themselves again; None is a missing value.
    """
    source = Base.metadata.tables[table]
    names = list(source.c.keys())
    numbers = {index: names.index(f"{name}_kind") for index, name in enumerate(names) if f"{name}_kind" in names}
    kept = [index for index, name in enumerate(names) if not _is_kind(name, names)]
    for run_id in run_ids:
        query = select(source).where(source.c.run_id == run_id).order_by(*source.primary_key)
        for row in session.execute(query, execution_options={"yield_per": _AT_ONCE}):
            yield tuple(
                join_number(row[index], row[numbers[index]]) if index in numbers else row[index] for index in kept
            )


class Hash(NamedTuple):
    """How many things, and the SHA-256 of all of them, in order."""

    number: int
    sha256: str


def hash_of(parts: Iterable[bytes]) -> Hash:
    """The hash of these things."""
    hashed, count = hashlib.sha256(), 0
    for part in parts:
        hashed.update(hashlib.sha256(part).digest())
        count += 1
    return Hash(count, hashed.hexdigest())


def hash_rows(session: Session, table: str, run_id: str) -> Hash:
    """The hash of a run's rows in one table, wall times left out: equal where every number is, to the last bit."""
    kept = [i for i, name in enumerate(columns(table)) if name not in ("run_id", "wall_time")]
    return hash_of(repr([row[i] for i in kept]).encode() for row in rows(session, table, [run_id]))


def _is_kind(name: str, names: Collection[str]) -> bool:
    return name.endswith("_kind") and name.removesuffix("_kind") in names
