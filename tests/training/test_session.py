"""Whole runs, short ones: what is recorded, how a run ends, and that a resumed run is the one never stopped."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from safetensors.torch import load_file

from dapo_cli import config
from dapo_cli.errors import BadInput, DapoError, Interrupted, RunFailed
from dapo_cli.training import live, loop, session
from store import runs
from store.errors import RunBusy
from store.session import Database

TINY = ["hidden_sizes=[16, 16]", "batch_size=8", "learning_starts=150", "buffer_size=500", "log_every=100"]
OPTIONS = {"algo": "dapo-kl", "env": "Pendulum-v1", "steps": 900, "eval_every": 400, "eval_episodes": 2}


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "runs.db")


def train(db: str, *assignments: str, **options: Any) -> str:
    options = OPTIONS | {"checkpoint_every": 200} | options
    resolved = config.resolve(options, [*TINY, *assignments], directory=Path(db).parent)
    return session.start(resolved, db)


def rows(db: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(db) as connection:
        return connection.execute(sql, parameters).fetchall()


def record(db: str, run_id: str) -> dict[str, Any]:
    """What must repeat: episodes without their wall time, evaluations, diagnostics, and the final tensors."""
    episodes = (
        'SELECT number, step, "return", length, terminated, truncated FROM episode WHERE run_id = ? ORDER BY number'
    )
    (path,) = rows(db, "SELECT path FROM checkpoint WHERE run_id = ? ORDER BY step DESC LIMIT 1", run_id)[0]
    tensors = load_file(Path(f"{db}.files") / run_id / path / "tensors.safetensors")
    return {
        "episodes": rows(db, episodes, run_id),
        "evaluations": rows(db, 'SELECT step, number, "return", length FROM evaluation WHERE run_id = ?', run_id),
        "metrics": rows(db, "SELECT name, step, value FROM metric WHERE run_id = ?", run_id),
        "tensors": {name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
    }


def status(db: str, run_id: str) -> str:
    with Database.read(db) as database:
        return str(runs.get(database, run_id)["status"])


def only_run(db: str) -> str:
    ((run_id,),) = rows(db, "SELECT id FROM run")
    return str(run_id)


def test_a_run_leaves_its_whole_record(db: str) -> None:
    run_id = train(db, tags=None)
    kept = record(db, run_id)
    assert [episode[0] for episode in kept["episodes"]] == [0, 1, 2, 3]
    assert [episode[1] for episode in kept["episodes"]] == [200, 400, 600, 800]
    assert {(step, number) for step, number, *_ in kept["evaluations"]} == {
        (step, number) for step in (400, 800, 900) for number in (0, 1)
    }
    assert {name for name, *_ in kept["metrics"]} >= {
        "critic_loss",
        "actor_loss",
        "temperature",
        "entropy",
        "kl_old",
        "eta",
    }
    with Database.read(db) as database:
        run = runs.get(database, run_id)
        settings = {row["name"]: row for row in runs.hyperparameters(database, run_id)}
    assert run["status"] == "completed"
    assert run["step"] == 900
    assert run["exactness"] == "exact"
    assert {"python", "torch", "gymnasium", "mujoco"} <= set(run["versions"])
    for name in ("command", "host", "processor", "threads", "device", "backend", "pid", "wall_time"):
        assert run[name] is not None, name
    assert settings["beta"]["value"] == 0.5
    assert settings["beta"]["symbol"] == "β"
    assert settings["beta"]["origin"] == "default"
    assert settings["hidden_sizes"]["value"] == [16, 16]
    assert settings["hidden_sizes"]["origin"] == "command line"
    assert not (Path(f"{db}.files") / run_id / "replay").exists()


@pytest.mark.parametrize("algo", ["sac", "dapo-kl"])
def test_the_seed_determines_the_run_and_evaluations_do_not(db: str, algo: str) -> None:
    first = record(db, train(db, algo=algo))
    again = record(db, train(db, algo=algo))
    other = record(db, train(db, algo=algo, seed=1))
    rarely = record(db, train(db, algo=algo, eval_every=0))
    assert first == again
    assert first["episodes"] != other["episodes"]
    assert first["episodes"] == rarely["episodes"]
    assert first["tensors"] == rarely["tensors"]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, signum: int = signal.SIGINT) -> None:
    original = loop.Loop._step

    def stepping(self: loop.Loop) -> None:
        original(self)
        if self.progress.step == step:
            signal.raise_signal(signum)

    monkeypatch.setattr(loop.Loop, "_step", stepping)


@pytest.mark.parametrize("algo", ["sac", "dapo-kl"])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(
    db: str, algo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = record(db, train(db, algo=algo))
    other = db.replace("runs", "interrupted")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 333)
        with pytest.raises(Interrupted) as caught:
            train(other, algo=algo)
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
    deadline = time.monotonic() + 60
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
    monkeypatch.setattr(session.provenance, "processor", lambda: "another processor")
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
    from store.locks import RunLock

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


def test_divergence_is_a_result(db: str) -> None:
    with pytest.raises(RunFailed, match="diverged") as caught:
        train(db, "learning_rate=1e30")
    assert caught.value.exit_code == 1
    assert status(db, only_run(db)) == "diverged"
    ((reason,),) = rows(db, "SELECT reason FROM run")
    assert "not finite" in reason or "nan" in reason


class Faulty(gymnasium.Env[np.ndarray, np.ndarray]):
    """Raises, or returns NaN, at its 40th step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space: ClassVar[gymnasium.Space[Any]] = gymnasium.spaces.Box(-2, 2, (1,), np.float32)

    def __init__(self, fault: str) -> None:
        self.fault, self.steps = fault, 0

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(2, np.float32), {}

    def step(self, _: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 40 and self.fault == "raise":
            raise OSError("the simulator\nis gone")
        return np.zeros(2, np.float32), float("nan") if self.steps == 40 else 0.0, False, False, {}


class Finite(Faulty):
    action_space: ClassVar[gymnasium.Space[Any]] = gymnasium.spaces.Discrete(3)


for name, entry in (("Faulty-v0", Faulty), ("Finite-v0", Finite)):
    gymnasium.register(name, entry_point=entry, kwargs={"fault": "raise"})
gymnasium.register("Poisoned-v0", entry_point=Faulty, kwargs={"fault": "nan"})


def test_an_environment_that_raises_fails_the_run(db: str) -> None:
    with pytest.raises(RunFailed, match="OSError: the simulator is gone"):
        train(db, env="Faulty-v0")
    run_id = only_run(db)
    assert status(db, run_id) == "failed"
    ((data,),) = rows(db, "SELECT data FROM event WHERE kind = 'traceback'")
    assert "Traceback" in data
    assert rows(db, "SELECT step FROM run") == [(39,)]


def test_a_screen_that_has_gone_does_not_end_a_run(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    for name in ("info", "warning"):
        monkeypatch.setattr(live.console, name, gone)
    assert status(db, train(db, steps=300)) == "completed"


def test_what_cannot_be_allocated_is_bad_input(db: str) -> None:
    with pytest.raises(BadInput, match="lower buffer_size"):
        train(db, "buffer_size=1e15")
    assert list(Path(db).parent.iterdir()) == []


def test_an_environment_that_returns_nan_ends_the_run(db: str) -> None:
    with pytest.raises(RunFailed, match="environment's reward or observation at step 39 is not finite"):
        train(db, env="Poisoned-v0")
    assert status(db, only_run(db)) == "diverged"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("HalfCheeta-v4", ["did you mean", "HalfCheetah-v4"]),
        ("Finite-v0", ["Discrete", "Box"]),
        ("FrozenLake-v1", ["FlattenObservation"]),
        ("no_such_module:Env-v0", ["cannot import 'no_such_module'"]),
    ],
)
def test_nothing_is_written_for_an_environment_that_cannot_be_trained_on(db: str, env: str, words: list[str]) -> None:
    with pytest.raises(DapoError) as caught:
        train(db, env=env)
    for word in words:
        assert word in str(caught.value)
    assert os.listdir(Path(db).parent) == []  # noqa: PTH208
