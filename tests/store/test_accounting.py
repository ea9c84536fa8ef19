"""What a run took over from the one that it extends."""

from __future__ import annotations

import pytest

from store.records import runs
from store.records.accounting import Inherited, inherited

CHECKPOINT = {"step": 600, "path": "checkpoint", "size": 1, "sha256": "0" * 64}


@pytest.fixture
def extended(database, make_run) -> tuple[str, str]:
    """A run of 900 steps in 90 s, and one that goes on from its step 600, reached after 60 s, to 2000."""
    parent = make_run(status="completed", step=900, wall_time=90.0)
    row = {"algo": "sac", "env": "HalfCheetah-v4", "seed": 0, "steps": 2000, "parent": parent, "wall_time": 60.0}
    child = runs.extend(database, run=row, checkpoint=CHECKPOINT, message="goes on")
    runs.set_status(database, child, "completed", step=2000, wall_time=200.0)
    return parent, child


def test_what_was_inherited_is_known(database, extended):
    assert inherited(database) == {extended[1]: Inherited(600, 60.0)}


def test_of_a_deleted_parent_the_copy_is_the_only_account(database, extended):
    runs.delete(database, [extended[0]])
    assert inherited(database) == {}


@pytest.mark.parametrize("data", ["NULL", '\'{"parent": "x"}\''])
def test_an_event_without_a_wall_time_is_the_parent_s(database, extended, data):
    with database.transaction() as session:
        session.connection().exec_driver_sql(f"UPDATE event SET data = {data} WHERE kind = 'extended'")
    assert inherited(database) == {extended[1]: Inherited(600, 90.0)}
