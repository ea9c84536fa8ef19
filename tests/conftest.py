"""A database of runs, made as training makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from store import runs
from store.recorder import Recorder
from store.session import Database


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Database]:
    """`runs.db` in a folder of its own, open for writing."""
    with Database.write(str(tmp_path / "runs.db")) as database:
        yield database


@pytest.fixture
def record_run(results: Database) -> Callable[..., str]:
    """Records a run into `results` and returns its id; keywords other than those named are columns of `run`.

    `final`: the returns of its last evaluation, at the last step (None: it was never evaluated); an earlier evaluation
    returned 0. `episodes`: the returns of its training episodes. `status` "running" leaves it without a process.
    """

    def record(
        algo: str = "sac",
        env: str = "HalfCheetah-v4",
        *,
        final: Sequence[float] | None = (1.0,),
        episodes: Sequence[float] = (),
        status: str = "completed",
        reason: str | None = None,
        tags: Sequence[str] = (),
        settings: dict[str, object] | None = None,
        **columns: object,
    ) -> str:
        row = {"algo": algo, "env": env, "seed": 0, "steps": 1000, **columns}
        rows = [{"name": name, "value": value, "origin": "default"} for name, value in (settings or {}).items()]
        run_id = runs.create(results, run=row, hyperparameters=rows, tags=tags)
        recorder = Recorder(results, run_id)
        for number, value in enumerate(episodes):
            recorder.episode(number, number + 1, value, 1, 0.1, False, True)
        if final is not None:
            recorder.evaluation(500, "mean", 0, 0.0, 1)
            for number, value in enumerate(final):
                recorder.evaluation(1000, "mean", number, value, 1)
                recorder.evaluation(1000, "sampled", number, -1.0, 1)
        recorder.progress(1000 if status == "completed" else 400, 10.0)
        recorder.close(status, reason)
        if status == "running":
            runs.set_status(results, run_id, "running", heartbeat_at="2000-01-01T00:00:00.000000Z")
        return run_id

    return record
