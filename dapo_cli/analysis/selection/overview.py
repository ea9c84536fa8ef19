"""Everything about one run: what `dapo show` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.selection.final import final_returns
from store.records import runs
from store.records.summaries import latest

if TYPE_CHECKING:
    from store.session import Database


def describe(database: Database, run_id: str) -> dict[str, Any]:
    """The columns of `run` and `tags`; `final`; `hyperparameters`, `events`, `checkpoints` (lists of objects).

    From `store.records.summaries.latest`: `episodes` (the last 100), `evaluation` (the last), `metrics`, `counts`.
    """
    return {
        **runs.get(database, run_id),
        "final": final_returns(database, [run_id]).get(run_id),
        **latest(database, run_id),
        "hyperparameters": runs.hyperparameters(database, run_id),
        "checkpoints": runs.checkpoints(database, run_id),
        "events": runs.events(database, run_id),
    }
