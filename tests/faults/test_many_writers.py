"""32 processes start at once on a path where there is nothing, and write while others read."""

from __future__ import annotations

import shutil
from pathlib import Path

import harm
import pytest
from sqlalchemy import func, select

from store.schema import revisions
from store.schema.models import Episode, Run
from store.session import Database

WRITERS = 32
GOLDEN = Path(__file__).parents[1] / "golden" / "schema-0001.db"


@pytest.mark.parametrize(
    ("seconds", "readers", "older"),
    [
        (1, 1, False),
        pytest.param(60, 4, False, marks=pytest.mark.slow),
        pytest.param(5, 2, True, marks=pytest.mark.slow),
    ],
)
def test_no_error_no_lost_row_no_waiting(forks, tmp_path, seconds, readers, older):
    location = str(tmp_path / "runs.db")
    if older:
        shutil.copy(GOLDEN, location)
    ready, start, stop = forks.Semaphore(0), forks.Event(), forks.Event()
    counts, complaints = forks.Queue(), forks.Queue()
    arguments = (location, ready, start, seconds, counts)
    writing = [forks.Process(target=harm.write_episodes, args=arguments, daemon=True) for _ in range(WRITERS)]
    looking = [
        forks.Process(target=harm.read_often, args=(location, start, stop, complaints), daemon=True)
        for _ in range(readers)
    ]
    for process in (*writing, *looking):
        process.start()
    for _ in writing:
        ready.acquire()
    start.set()
    written = dict(counts.get(timeout=300) for _ in writing)
    for process in writing:
        process.join(300)
    stop.set()
    seen = [complaints.get(timeout=120) for _ in looking]
    for process in looking:
        process.join(300)
    assert [process.exitcode for process in (*writing, *looking)] == [0] * (WRITERS + readers)
    assert [said for said in seen if isinstance(said, str)] == []
    with Database.read(location) as db, db.connect() as session:
        query = select(Episode.run_id, func.count()).join(Run).where(Run.env == "e").group_by(Episode.run_id)
        assert {row[0]: row[1] for row in session.execute(query)} == written
        assert set(session.scalars(select(Run.status).where(Run.env == "e"))) == {"completed"}
        assert db.revision() == revisions.HEAD
    assert all(looks > 0 for looks, _ in seen)
