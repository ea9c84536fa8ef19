"""Frozen selections: lists of runs under a name, which stay what they were whatever becomes of the runs."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from store.errors import RunNotFound, SelectionNotFound, StoreError
from store.schema.encoding import clean, now
from store.schema.models import Run, Selection
from store.session import Database


def freeze(db: Database, name: str, run_ids: Iterable[str]) -> None:
    """Pin these runs, given by their whole ids, under a name; the same runs again change nothing.

    StoreError for an empty name or no runs, and for a name that holds other runs already; RunNotFound.
    """
    name, wanted = clean(name), sorted(set(run_ids))
    if not name.strip():
        raise StoreError("a selection needs a name, such as paper-v1")
    if not wanted:
        raise StoreError(f"selection {name!r} would hold no run: choose runs that exist")
    with db.transaction() as session:
        held = _members(session, name)
        if held == wanted:
            return
        if held:
            raise StoreError(
                f"selection {name!r} exists and holds other runs ({len(held)} in all): choose another name"
            )
        known = set(session.scalars(select(Run.id)))
        for run_id in wanted:
            if run_id not in known:
                raise RunNotFound(f"no run {run_id!r} in {db.location}: it may have been deleted meanwhile")
        time = now()
        rows = [{"name": name, "run_id": run_id, "created_at": time} for run_id in wanted]
        session.execute(insert(Selection), rows)


def members(db: Database, name: str) -> list[str]:
    """The ids that a selection pins, sorted, also those of runs that were deleted since; SelectionNotFound."""
    with db.connect() as session:
        held = _members(session, clean(name))
        if not held:
            raise _not_found(session, db, name)
    return held


def names(db: Database) -> list[dict[str, Any]]:
    """The selections by name: dicts of `name`, `created_at`, `runs` (pinned), `missing` (of those, deleted since)."""
    query = (
        select(
            Selection.name,
            func.min(Selection.created_at).label("created_at"),
            func.count().label("runs"),
            (func.count() - func.count(Run.id)).label("missing"),
        )
        .join_from(Selection, Run, Selection.run_id == Run.id, isouter=True)
        .group_by(Selection.name)
        .order_by(Selection.name)
    )
    with db.connect() as session:
        return [dict(row) for row in session.execute(query).mappings()]


def remove(db: Database, name: str) -> None:
    """Forget a selection; its runs stay. SelectionNotFound."""
    with db.transaction() as session:
        if not _members(session, clean(name)):
            raise _not_found(session, db, name)
        session.execute(delete(Selection).where(Selection.name == clean(name)))


def _members(session: Session, name: str) -> list[str]:
    return list(session.scalars(select(Selection.run_id).where(Selection.name == name).order_by(Selection.run_id)))


def _not_found(session: Session, db: Database, name: str) -> SelectionNotFound:
    known = session.scalars(select(Selection.name).distinct().order_by(Selection.name)).all()
    others = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    remedy = f"there are {others}" if known else f"freeze one with: dapo freeze NAME --db {quote(db.location)}"
    return SelectionNotFound(f"no selection {clean(name)!r} in {db.location}: {remedy}")
