"""Whole runs in environments that are careless, leave the process or hang: what is recorded, and with which status."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_runs import interrupt_at, only_run, record, rows, status

from dapo_cli.configuration import run_configuration
from dapo_cli.errors import Interrupted, RunFailed
from dapo_cli.training import groups, session
from dapo_cli.training.environments import gym_environment
from dapo_cli.training.environments.gym_environment import Environment

CASES = Path(__file__).parent.parent / "cases"
MODULE = "careless_environments"
SETTINGS = {
    "sac": ["learning_starts=170", "batch_size=8"],
    "dapo-kl-on": ["rollout_steps=80", "batch_size=40", "epochs=2"],
}
SETTINGS["dapo-l2"] = SETTINGS["sac"]


@pytest.fixture(autouse=True)
def cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CASES)


def start(db: str, kind: str, algo: str = "sac", starting: Any = session.start) -> Any:
    typed = {"algo": algo, "env": f"{MODULE}:{kind}-v0", "steps": 200, "eval_every": 100, "eval_episodes": 1}
    settings = ["hidden_sizes=[8]", "log_every=50", *SETTINGS[algo]]
    resolved = run_configuration.resolve(typed | {"compile": "off"}, settings, directory=Path(db).parent)
    return starting(resolved, db)


@pytest.mark.parametrize(
    ("well_kept", "careless", "algo"),
    [
        ("Walk", ["Buffer", "InPlace", "Clipped"], "sac"),
        ("Walk", ["Buffer", "InPlace"], "dapo-kl-on"),
        ("Recounts", ["Counts"], "dapo-l2"),
    ],
)
def test_a_careless_environment_trains_like_its_well_kept_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, well_kept: str, careless: list[str], algo: str
) -> None:
    """To the bit, also interrupted and resumed: it may refill its buffer and write into the action it is handed."""
    twin = str(tmp_path / "twin.db")
    expected = record(twin, start(twin, well_kept, algo))
    for kind in careless:
        db = str(tmp_path / f"{kind}.db")
        with monkeypatch.context() as patch:
            interrupt_at(patch, 180)
            with pytest.raises(Interrupted):
                start(db, kind, algo)
        session.resume(db, only_run(db), [MODULE])
        assert record(db, only_run(db)) == expected
        assert rows(db, "SELECT exactness FROM run") == [("exact",)]


def test_what_close_raises_is_a_remark(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = start(db, "Closes")
    assert status(db, run_id) == "completed"
    words = f"{MODULE}:Closes-v0's close() raised AttributeError: no viewer"
    assert capsys.readouterr().err.count(words) == 1  # of two environments
    assert rows(db, "SELECT message FROM event WHERE kind = 'remark'") == [(words,)]


def test_leaving_the_process_fails_the_run(db: str) -> None:
    with pytest.raises(RunFailed, match=r"Quits-v0's step\(\) called sys.exit\(\)"):
        start(db, "Quits")
    assert status(db, only_run(db)) == "failed"
    assert "sys.exit()" in rows(db, "SELECT reason FROM run")[0][0]


def test_one_that_leaves_the_process_does_not_stop_the_others(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = str(tmp_path / "alone.db")
    expected = record(alone, start(alone, "Walk"))
    walk = sys.modules[MODULE].Walk
    step = walk.step

    def leave(environment: Any, action: Any) -> Any:
        if environment.np_random_seed == int(
            np.random.SeedSequence([1, gym_environment.TRAINING, 2]).generate_state(1)[0]
        ):
            sys.exit("enough")
        return step(environment, action)

    monkeypatch.setattr(walk, "step", leave)
    with pytest.raises(RunFailed, match=r"called sys.exit\('enough'\)"):
        start(db, "Walk", starting=lambda resolved, location: groups.start(resolved, [0, 1], location))
    assert rows(db, "SELECT seed, status FROM run ORDER BY seed") == [(0, "completed"), (1, "failed")]
    assert record(db, rows(db, "SELECT id FROM run WHERE seed = 0")[0][0]) == expected


@pytest.mark.parametrize("kind", ["Below", "Quits"])
def test_the_reason_of_a_failure_names_no_class_of_ours(db: str, kind: str) -> None:
    with pytest.raises(RunFailed):
        start(db, kind)
    ((reason,),) = rows(db, "SELECT reason FROM run")
    assert reason.startswith(f"{MODULE}:{kind}-v0")


def test_a_second_hangup_waits_for_the_checkpoint(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shell and kernel each send one when a terminal is closed."""
    monkeypatch.setattr(Environment, "step", _hanging_up(Environment.step))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, under which tests may run, ignores it
    try:
        with pytest.raises(Interrupted, match="checkpoint saved") as caught:
            start(db, "Walk")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert caught.value.exit_code == 128 + signal.SIGHUP
    assert status(db, only_run(db)) == "interrupted"
    assert rows(db, "SELECT reason, step FROM run") == [("SIGHUP", rows(db, "SELECT max(step) FROM checkpoint")[0][0])]


def _hanging_up(step: Callable[..., Any]) -> Callable[..., Any]:
    steps = itertools.count()

    def stepping(environment: Environment, action: Any) -> Any:
        if next(steps) == 90:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
        return step(environment, action)

    return stepping


def test_a_hangup_that_is_ignored_stays_ignored(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupt_at(monkeypatch, 120, signal.SIGHUP)
        assert status(db, start(db, "Walk")) == "completed"
    finally:
        signal.signal(signal.SIGHUP, before)
