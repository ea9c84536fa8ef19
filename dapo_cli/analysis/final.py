"""The final return of a run: the mean return of its last evaluation, played with the policy's mean actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ScalarSelect, case, func, null, select
from sqlalchemy.orm import aliased

from store.models import Evaluation, Run
from store.settings import MANY
from store.summaries import final_evaluation

if TYPE_CHECKING:
    from store.session import Database


def final_returns(database: Database, ids: list[str]) -> dict[str, float]:
    """The final return of each of these runs that has an evaluation; not finite where a return is not."""
    finals = final_evaluation(database, Run.id.in_(ids) if len(ids) <= MANY else None)
    return {id_: finals[id_]["mean"] for id_ in ids if id_ in finals}


def final_return() -> ScalarSelect[float | None]:
    """The same in SQL, correlated to `run`: NULL without an evaluation, or where a return is not finite."""
    inner = aliased(Evaluation)
    last = (
        select(func.max(inner.step))
        .where(inner.run_id == Run.id, inner.actions == "mean")
        .correlate(Run)
        .scalar_subquery()
    )
    mean = case((func.count(Evaluation.return_kind) > 0, null()), else_=func.avg(Evaluation.return_))
    of_it = (Evaluation.run_id == Run.id, Evaluation.actions == "mean", Evaluation.step == last)
    return select(mean).where(*of_it).correlate(Run).scalar_subquery()
