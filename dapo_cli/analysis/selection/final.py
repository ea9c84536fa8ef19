"""The final return of a run: the mean return of its last evaluation, played with the policy's mean actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.records.settings import MANY
from store.records.summaries import final_evaluation
from store.schema.models import Run

if TYPE_CHECKING:
    from store.session import Database


def final_returns(database: Database, ids: list[str]) -> dict[str, float]:
    """The final return of each of these runs that has an evaluation; not finite where a return is not."""
    finals = final_evaluation(database, Run.id.in_(ids) if len(ids) <= MANY else None)
    return {id_: finals[id_]["mean"] for id_ in ids if id_ in finals}
