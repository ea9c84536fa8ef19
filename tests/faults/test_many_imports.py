"""Many imports begin at once on a path where there is nothing, and none gives up."""

from __future__ import annotations

import pytest
import working
from sqlalchemy import func, select

from store.records import runs
from store.schema.models import Episode
from store.session import Database


@pytest.mark.parametrize(("processes", "rows"), [(4, 500), pytest.param(32, 5_000, marks=pytest.mark.slow)])
def test_each_waits_for_the_others(forks, tmp_path, processes, rows):
    location = str(tmp_path / "runs.db")
    ready, start = forks.Semaphore(0), forks.Event()
    importing = [
        forks.Process(target=working.record_runs, args=(location, ready, start, [2 * n, 2 * n + 1], rows), daemon=True)
        for n in range(processes)
    ]
    for process in importing:
        process.start()
    for _ in importing:
        ready.acquire()
    start.set()
    for process in importing:
        process.join(600)
    assert [process.exitcode for process in importing] == [0] * processes
    with Database.read(location) as db, db.connect() as session:
        assert session.scalar(select(func.count()).select_from(Episode)) == 2 * processes * rows
        assert runs.count(db) == 2 * processes
