"""A run that was interrupted, killed or damaged and then resumed is the run that was never stopped, or says so."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from short_runs import TINY, interrupt_at, only_run, record, rows, status, train

from dapo_cli.errors import BadInput, Interrupted
from dapo_cli.training import session
from store.errors import RunBusy


@pytest.mark.parametrize(
    ("algo", "settings"), [("sac", []), ("dapo-kl", []), ("ampo", []), ("mdpo", ["faithful=true", "m=7"])]
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    db: str, algo: str, settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also between the two phases of a policy iteration, and with networks that only some algorithms have."""
    whole = record(db, train(db, *settings, algo=algo))
    other = db.replace("runs", "interrupted")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 333)
        with pytest.raises(Interrupted) as caught:
            train(other, *settings, algo=algo)
    run_id = only_run(other)
    assert caught.value.exit_code == 130
    assert f"dapo resume {run_id[:6]}" in str(caught.value)
    assert status(other, run_id) == "interrupted"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 777, signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            session.resume(other, run_id[:6])
    assert caught.value.exit_code == 143
    session.resume(other, run_id)
    assert status(other, run_id) == "completed"
    assert record(other, run_id) == whole
    assert rows(other, "SELECT exactness FROM run") == [("exact",)]


def test_a_killed_run_is_known_as_dead_at_once_and_resumes_exactly(db: str) -> None:
    """SIGKILL between two checkpoints; what was recorded after the last one is recomputed and found equal."""
    typed = "train --algo dapo-kl --env Pendulum-v1 --steps 20000 --compile off".split()
    typed += "--eval-every 400 --eval-episodes 2 --checkpoint-every 200".split()
    settings = [f"--set={text}" for text in TINY]
    command = [sys.executable, "-P", "-m", "dapo_cli", *typed, "--db", db, *settings]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    try:
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
            if Path(db).exists() and rows(db, "SELECT 1 FROM sqlite_master WHERE name = 'checkpoint'"):
                (reached,) = rows(db, "SELECT coalesce(max(step), 0) FROM checkpoint")[0]
                if reached >= 600:
                    break
    finally:
        process.kill()
        process.wait()
    run_id = only_run(db)
    assert rows(db, "SELECT status FROM run") == [("running",)]
    assert status(db, run_id) == "interrupted"
    with sqlite3.connect(db) as connection:  # so that the rest is short
        connection.execute("UPDATE run SET steps = 1800")
        connection.execute("UPDATE hyperparameter SET value = '1800' WHERE name = 'steps'")
    connection.close()
    session.resume(db, run_id)
    whole = db.replace("runs", "whole")
    resolved = record(whole, train(whole, steps=1800, compile="off"))
    resumed = record(db, run_id)
    for name in (
        "evaluations",
        "metrics",
    ):  # what was recorded past step 1800 before the kill stays, and is equal up to there
        column = 0 if name == "evaluations" else 1
        assert [row for row in resumed[name] if row[column] <= 1800] == resolved[name]
    assert resumed["tensors"] == resolved["tensors"]
    assert rows(db, "SELECT exactness FROM run") == [("exact",)]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = record(db, train(db))
    other = db.replace("runs", "damaged")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 500)
        with pytest.raises(Interrupted):
            train(other)
    run_id = only_run(other)
    file = Path(f"{other}.files") / run_id / "checkpoints" / "000000000501" / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    session.resume(other, run_id)
    assert "checkpoint at step 501 is unusable: tensors.safetensors is damaged" in capsys.readouterr().err
    assert record(other, run_id) == whole


def test_a_run_whose_checkpoints_are_gone_is_not_started_again_in_silence(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 500)
        with pytest.raises(Interrupted):
            train(db)
    folder = Path(f"{db}.files") / only_run(db)
    (folder / "checkpoints").rename(folder / "elsewhere")
    with pytest.raises(BadInput, match=r"unusable.*bring .*checkpoints back"):
        session.resume(db, only_run(db))
    (folder / "elsewhere").rename(folder / "checkpoints")
    session.resume(db, only_run(db))
    assert status(db, only_run(db)) == "completed"


def test_a_run_killed_before_its_first_checkpoint_begins_again(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = record(db, train(db))
    other = db.replace("runs", "early")

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.Checkpoints, "save", die)
        with pytest.raises(Interrupted, match="without a checkpoint"):
            train(other)
    session.resume(other, only_run(other))
    assert record(other, only_run(other)) == whole


def test_what_differs_from_the_checkpoint_is_said_and_marked(
    db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 500)
        with pytest.raises(Interrupted):
            train(db)
    monkeypatch.setattr(session.provenance, "processor", lambda _: "another processor")
    session.resume(db, only_run(db))
    assert "marked approximate: processor was" in capsys.readouterr().err
    assert rows(db, "SELECT exactness, status FROM run") == [("approximate", "completed")]


def test_checkpoints_are_pruned_and_replay_is_appended(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 750)
    with pytest.raises(Interrupted):
        train(db)
    folder = Path(f"{db}.files") / only_run(db)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["000000000600", "000000000751"]
    assert [row[0] for row in rows(db, "SELECT step FROM checkpoint ORDER BY step")] == [600, 751]
    segments = sorted(path.stem for path in (folder / "replay").iterdir())
    # the ring holds 500 transitions, so the older of the two checkpoints needs 100 … 600
    assert segments == [f"{a:012d}-{b:012d}" for a, b in ((0, 200), (200, 400), (400, 600), (600, 751))]


def test_a_run_cannot_be_resumed_twice_at_once_nor_when_it_is_complete(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 300)
        with pytest.raises(Interrupted):
            train(db)
    run_id = only_run(db)
    from store.connection.locks import RunLock

    lock = RunLock(Path(f"{db}.files") / run_id / "lock")
    lock.acquire()
    with pytest.raises(RunBusy):
        session.resume(db, run_id)
    lock.release()
    session.resume(db, run_id)
    with pytest.raises(BadInput, match="completed"):
        session.resume(db, run_id)


def test_a_database_alone_makes_nothing_be_imported(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted_module.py").write_text(
        "import gymnasium\n"
        "entry = 'gymnasium.envs.classic_control.pendulum:PendulumEnv'\n"
        "gymnasium.register('Planted-v0', entry_point=entry, max_episode_steps=50)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 160)
        with pytest.raises(Interrupted):
            train(db, env="planted_module:Planted-v0", steps=200)
    monkeypatch.delitem(sys.modules, "planted_module")
    with pytest.raises(BadInput, match="--import planted_module"):
        session.resume(db, only_run(db))
    assert "planted_module" not in sys.modules
    gymnasium.registry.pop("Planted-v0")
    session.resume(db, only_run(db), ["planted_module"])
    assert status(db, only_run(db)) == "completed"
