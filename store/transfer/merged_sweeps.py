"""The sweeps of another database, and which runs belong to them.

A sweep is known by its id: the shards of one sweep, each trained into a database of its own, have the same.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from store.schema.models import Run, Sweep, SweepRun


class Merged(NamedTuple):
    """What came of the sweeps: names of those that are new here, and a line for each conflict."""

    added: list[str]
    conflicts: list[str]


def merge_sweeps(session: Session, theirs: Session) -> Merged:
    """Take over the sweeps that are not here. Where a name is taken, the new one gets a longer one."""
    merged = Merged([], [])
    held = {row.id: row for row in session.execute(select(Sweep.__table__))}
    names = {row.name for row in held.values()}
    for row in theirs.execute(select(Sweep.__table__).order_by(Sweep.id)).mappings():
        if row["id"] in held:
            if held[row["id"]].definition != row["definition"]:
                merged.conflicts.append(f"sweep {row['name']!r} is defined otherwise over there: this database's stays")
            continue
        name = row["name"]
        if name in names:
            name = f"{name}-{row['id'][:6]}"
            merged.conflicts.append(f"there is another sweep {row['name']!r} over there: it is called {name!r} here")
        session.execute(insert(Sweep), [{**row, "name": name}])
        merged.added.append(name)
    return merged


def merge_links(session: Session, theirs: Session) -> int:
    """Add the runs over there to the sweeps that they belong to; returns how many links are new.

    Call it when sweeps and runs are here. A run that is not, as it is still being trained, is linked the next time.
    """
    known = set(session.scalars(select(Run.id)))
    sweeps = set(session.scalars(select(Sweep.id)))
    held: dict[str, set[str]] = {}
    rows: list[dict[str, object]] = []
    query = select(SweepRun.__table__).order_by(SweepRun.sweep_id, SweepRun.position, SweepRun.run_id)
    for link in theirs.execute(query):
        if link.run_id not in known or link.sweep_id not in sweeps:
            continue
        if link.sweep_id not in held:
            here = select(SweepRun.run_id).where(SweepRun.sweep_id == link.sweep_id)
            held[link.sweep_id] = set(session.scalars(here))
        if link.run_id not in held[link.sweep_id]:
            rows.append({"sweep_id": link.sweep_id, "run_id": link.run_id, "position": link.position})
    if rows:
        session.execute(insert(SweepRun), rows)
    return len(rows)
