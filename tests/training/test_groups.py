"""Seeds that train together: each run has its own record, ends for itself, and goes on as if nothing had happened."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from short_runs import OPTIONS, TINY, interrupt_at, record, rows, status, train

from algorithms.learner.seed_group import SeedGroup
from dapo_cli.configuration import run_configuration
from dapo_cli.errors import BadInput, Interrupted, RunFailed
from dapo_cli.training import groups, session
from dapo_cli.training.resuming import interrupted, resume_all

SEEDS = (0, 1, 5)


def train_group(db: str, *assignments: str, seeds: tuple[int, ...] = SEEDS, **options: Any) -> list[str]:
    resolved = run_configuration.resolve(
        OPTIONS | {"checkpoint_every": 200} | options, [*TINY, *assignments], directory=Path(db).parent
    )
    return groups.start(resolved, seeds, db)


def ids(db: str) -> list[str]:
    return [run_id for (run_id,) in rows(db, "SELECT id FROM run ORDER BY seed")]


@pytest.mark.parametrize("algo", ["dapo-kl", "ampo"])
def test_every_seed_is_the_run_that_it_would_be_alone(db: str, algo: str, tmp_path: Path) -> None:
    """On a CPU to the bit."""
    together = train_group(db, algo=algo)
    alone = str(tmp_path / "alone.db")
    for run_id, seed in zip(together, SEEDS, strict=True):
        assert record(db, run_id) == record(alone, train(alone, algo=algo, seed=seed))
    assert rows(db, "SELECT DISTINCT group_size FROM run") == [(3,)]
    assert len(rows(db, "SELECT DISTINCT group_id FROM run")) == 1
    assert {status(db, run_id) for run_id in together} == {"completed"}


def test_an_interrupted_group_goes_on_to_the_bit(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between two steps and one amid an evaluation; `resume` of one run takes the others along."""
    whole = [record(db, run_id) for run_id in train_group(db)]
    other = str(tmp_path / "interrupted.db")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 333, signal.SIGTERM)
        with pytest.raises(Interrupted, match="dapo resume"):
            train_group(other)
    assert [status(other, run_id) for run_id in ids(other)] == ["interrupted"] * 3
    with monkeypatch.context() as patch:
        interrupt_at(patch, 399)
        with pytest.raises(Interrupted):
            session.resume(other, ids(other)[1])
    assert [(len(record(other, run_id)["evaluations"])) for run_id in ids(other)] == [0, 0, 0]
    session.resume(other, ids(other)[2])
    assert [record(other, run_id) for run_id in ids(other)] == whole
    assert rows(other, "SELECT DISTINCT exactness, status FROM run") == [("exact", "completed")]


def test_members_whose_checkpoints_differ_go_on_at_their_own_step(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a death between the checkpoints of two members."""
    whole = [record(db, run_id) for run_id in train_group(db)]
    other = str(tmp_path / "interrupted.db")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 500)
        with pytest.raises(Interrupted):
            train_group(other)
    first = ids(other)[0]
    (path,) = rows(other, "SELECT path FROM checkpoint WHERE run_id = ? ORDER BY step DESC", first)[0]
    (Path(f"{other}.files") / first / path / "tensors.safetensors").write_bytes(b"damaged")
    waiting = [run["id"] for run in interrupted(other)]
    assert sorted(waiting) == sorted(ids(other))
    continued = list(resume_all(other, waiting, ()))
    assert [one.result for one in continued] == ["completed"] * 3
    assert [record(other, run_id) for run_id in ids(other)] == whole
    assert rows(other, "SELECT DISTINCT exactness FROM run") == [("exact",)]


class Fragile(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises at its 300th step if it was first reset with seed 1's first seed."""

    broken: int | None = None

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.steps, self.first = 0, None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.first = self.first if self.first is not None else seed
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == 300 and self.first == Fragile.broken:
            raise RuntimeError("a leg came off")
        return super().step(action)


def test_one_that_fails_does_not_stop_the_others(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [record(db, run_id) for run_id in train_group(db)]
    monkeypatch.setattr(
        "dapo_cli.training.environments.gym_environment.gymnasium.make", _making_fragile(gymnasium.make)
    )
    sequence = np.random.SeedSequence([SEEDS[0], 10, 0])
    monkeypatch.setattr(Fragile, "broken", int(sequence.generate_state(1)[0]))
    other = str(tmp_path / "failing.db")
    with pytest.raises(RunFailed, match="a leg came off"):
        train_group(other)
    failed, *rest = ids(other)
    assert status(other, failed) == "failed"
    assert [record(other, run_id) for run_id in rest] == whole[1:]
    assert {status(other, run_id) for run_id in rest} == {"completed"}


def test_an_update_that_raises_fails_every_run_of_the_group(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: SeedGroup) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(SeedGroup, "update", broken)
    with pytest.raises(RunFailed, match=r"no kernel image.*; run .* failed.*no kernel image"):
        train_group(db)
    assert rows(db, "SELECT status, count(*) FROM run GROUP BY status") == [("failed", 3)]


def _making_fragile(make: Any) -> Any:
    return lambda *args, **kwargs: Fragile(make(*args, **kwargs))


def test_what_cannot_be_a_group_is_refused(db: str) -> None:
    resolved = run_configuration.resolve(OPTIONS | {"algo": "ppo"}, directory=Path(db).parent)
    with pytest.raises(BadInput, match="without --vectorise"):
        groups.start(resolved, SEEDS, db)
    assert not Path(db).exists()
