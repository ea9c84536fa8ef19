"""What runs that extend others did not spend themselves, so that no step and no second is counted twice."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import aliased

from store.schema.encoding import decode_json
from store.schema.models import Event, Run
from store.session import Database


class Inherited(NamedTuple):
    """The part of a run's `step` and `wall_time` (in seconds) that is a copy of its parent's."""

    step: int
    wall_time: float


def inherited(db: Database) -> dict[str, Inherited]:
    """What each run that extends another took over: run id -> steps and seconds.

    Only where the parent is still in the database: of a deleted one, the copy is the only account that is left.
    """
    parent = aliased(Run)
    query = (
        select(Run.id, Run.wall_time, parent.wall_time, Event.step, Event.data)
        .join(parent, Run.parent == parent.id)
        .join(Event, (Event.run_id == Run.id) & (Event.kind == "extended"))
    )
    with db.connect() as session:
        rows = session.execute(query).all()
    # An event of dapo 0.1 has no wall time; the parent's is what it was, unless the parent was continued since.
    return {
        run_id: Inherited(step or 0, min(own, (decode_json(data) or {}).get("wall_time", parents)))
        for run_id, own, parents, step, data in rows
    }
