"""Every interrupted run continued, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dapo_cli.errors import BadInput, RunFailed
from dapo_cli.training import session
from store.errors import RunBusy, RunNotFound
from store.records import runs
from store.records.marks import KINDS
from store.schema.models import Run
from store.session import Database


class Continued(NamedTuple):
    """What became of a run: `result` is its status now, or "left alone"; `remark` says why, if there is a reason."""

    run_id: str
    result: str
    remark: str


def interrupted(location: str) -> list[dict[str, Any]]:
    """The runs to continue, as `store.records.runs.get` has them, oldest first: interrupted, or their process died."""
    with Database.read(location) as db:
        trained = runs.listing(db, where=Run.kind.in_(KINDS) & Run.source.is_(None))[::-1]
    return [run for run in trained if run["status"] == "interrupted"]


def resume_all(location: str, ids: Sequence[str], modules: Sequence[str]) -> Iterator[Continued]:
    """Continues these runs in turn. One that cannot be, or that fails, does not keep the others from it.

    Raises Interrupted and CannotWrite, which would hold for the others, too.
    """
    for run_id in ids:
        with Database.read(location) as db:
            status = runs.get(db, run_id)["status"]
        if status in ("completed", "diverged", "failed"):  # an earlier one of its group has taken it along
            yield Continued(run_id, status, "")
            continue
        try:
            session.resume(location, run_id, modules)
            yield Continued(run_id, "completed", "")
        except RunFailed as error:
            with Database.read(location) as db:
                yield Continued(run_id, runs.get(db, run_id)["status"], str(error))
        except (BadInput, RunBusy, RunNotFound) as error:
            yield Continued(run_id, "left alone", str(error))
