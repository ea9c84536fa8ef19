"""A run that goes on from another is the run of that many steps from the start, or says why it is not."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from short_runs import interrupt_at, record, rows, status, train

from algorithms.learner.off_policy import OffPolicyLearner as Learner
from dapo_cli.errors import BadInput, Interrupted
from dapo_cli.training import extension, loop, session
from store.errors import CannotWrite
from store.records import runs
from store.session import Database

PARENT = 450  # no multiple of log_every, eval_every or checkpoint_every: nothing is due there but the end
CHILD = 900


def extend(db: str, run_id: str, steps: int = CHILD, **typed: Any) -> str:
    return session.extend(extension.plan(db, run_id, {"steps": steps, **typed}), db)


def without_the_parents_end(kept: dict[str, Any]) -> dict[str, Any]:
    """The record without what only a run that ends at step PARENT has there: an evaluation and diagnostics."""
    evaluations = [row for row in kept["evaluations"] if row[0] != PARENT]
    metrics = [row for row in kept["metrics"] if row[1] != PARENT]
    return {**kept, "evaluations": evaluations, "metrics": metrics}


def everything(db: str, run_id: str) -> dict[str, Any]:
    """Every row and every file of a run."""
    tables = [name for (name,) in rows(db, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    kept: dict[str, Any] = {"run": rows(db, "SELECT * FROM run WHERE id = ?", run_id)}
    for table in {*tables} & {"episode", "evaluation", "metric", "checkpoint", "event", "hyperparameter", "tag"}:
        kept[table] = rows(db, f"SELECT * FROM {table} WHERE run_id = ?", run_id)
    folder = Path(f"{db}.files") / run_id
    kept["files"] = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return kept


@pytest.mark.parametrize("algo", ["sac", "dapo-kl"])
def test_with_its_replay_kept_it_is_the_longer_run_to_the_last_bit(db: str, algo: str) -> None:
    whole = record(db, train(db, algo=algo))
    parent = train(db, "keep_replay=true", algo=algo, steps=PARENT)
    before = everything(db, parent)
    child = session.extend(extension.plan(db, parent[:6], {"steps": CHILD}, ["longer"], "a try"), db)
    assert everything(db, parent) == before
    kept = record(db, child)
    assert [row for row in kept["evaluations"] if row[0] == PARENT] == record(db, parent)["evaluations"][-2:]
    assert {row[1] for row in kept["metrics"]} == {row[1] for row in whole["metrics"]} | {PARENT}
    assert without_the_parents_end(kept) == whole
    with Database.read(db) as database:
        run, old = (runs.get(database, one) for one in (child, parent))
        settings, of_parent = (
            {row["name"]: (row["value"], row["origin"]) for row in runs.hyperparameters(database, one)}
            for one in (child, parent)
        )
        (extended,) = [event for event in runs.events(database, child) if event["kind"] == "extended"]
    assert (run["parent"], run["status"], run["exactness"]) == (parent, "completed", "exact")
    assert (run["step"], run["steps"], run["tags"], run["note"]) == (CHILD, CHILD, ["longer"], "a try")
    assert run["wall_time"] > old["wall_time"]
    assert settings == of_parent | {"steps": (CHILD, "command line")}
    assert (extended["step"], extended["data"]["parent"]) == (PARENT, parent)
    assert 0 < extended["data"]["wall_time"] <= old["wall_time"]


def test_an_interrupted_run_can_be_extended_exactly(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ring of 500 transitions has wrapped; what it recorded beyond its checkpoint is not the child's."""
    whole = record(db, train(db, steps=1200))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 749)
        with pytest.raises(Interrupted):
            train(db)
    ((parent,),) = rows(db, "SELECT id FROM run WHERE status = 'interrupted'")
    newest = Path(f"{db}.files") / parent / "checkpoints" / "000000000750" / "tensors.safetensors"
    newest.write_bytes(b"damaged")
    before = everything(db, parent)
    child = extend(db, parent, 1200, keep_replay=True)
    assert everything(db, parent) == before
    assert record(db, child) == whole
    ((step,),) = rows(db, "SELECT step FROM event WHERE run_id = ? AND kind = 'extended'", child)
    assert step == 600
    assert (Path(f"{db}.files") / child / "replay").is_dir()
    session.resume(db, parent)  # its files are still its own
    assert status(db, parent) == "completed"


def test_without_its_replay_the_policy_collects_a_new_one_and_the_run_says_so(
    db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = train(db, steps=PARENT)
    policy: list[int] = []
    sizes: list[int] = []
    act, update = Learner.policy_action, Learner._update
    with monkeypatch.context() as patch:

        def acting(self: Learner, observation: Any, generator: Any = None) -> Any:
            policy.append(self.replay.total) if generator is self.act_generator else None
            return act(self, observation, generator)

        def updating(self: Learner, stage: Any) -> None:
            sizes.append(self.replay.total)
            update(self, stage)

        patch.setattr(Learner, "policy_action", acting)
        patch.setattr(Learner, "_update", updating)
        child = extend(db, parent)
    line = f"this run is marked approximate: run {parent[:6]} did not keep its replay"
    assert capsys.readouterr().err.count(line) == 1
    assert policy == list(range(CHILD - PARENT))  # never uniform
    assert sizes == list(range(150, CHILD - PARENT + 1))  # learning_starts is 150
    assert rows(db, "SELECT exactness FROM run WHERE id = ?", child) == [("approximate",)]
    assert rows(db, "SELECT count(*) FROM event WHERE run_id = ? AND kind = 'approximate'", child) == [(1,)]
    path = Path(f"{db}.files") / parent / "checkpoints" / f"{PARENT:012d}" / "tensors.safetensors"
    assert record(db, child)["tensors"]["actor"] != load_file(path)["actor"].numpy().tobytes()
    # What follows from an approximate run is approximate, whatever was kept.
    assert rows(db, "SELECT exactness FROM run WHERE id = ?", extend(db, child, 950)) == [("approximate",)]
    assert f"run {child[:6]}, which it extends, is approximate" in capsys.readouterr().err


@pytest.mark.parametrize("step", [PARENT, 520, 700], ids=["at its start", "while it collects", "while it learns"])
def test_an_extension_resumes_exactly(db: str, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    parent = train(db, steps=PARENT)
    whole = record(db, extend(db, parent))
    with monkeypatch.context() as patch:
        if step == PARENT:  # killed before its first step
            patch.setattr(loop.Loop, "begin", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            interrupt_at(patch, step)
        with pytest.raises(Interrupted):
            extend(db, parent)
    ((child,),) = rows(db, "SELECT id FROM run WHERE status = 'interrupted'")
    session.resume(db, child)
    assert record(db, child) == whole


def test_a_run_that_never_learned_goes_on_at_random(db: str) -> None:
    """It had only collected uniformly drawn actions: its extension does so, too, until learning starts."""
    parent = train(db, steps=100)
    child = record(db, extend(db, parent, 300))
    assert {name for name, step, _ in child["metrics"] if step == 300}
    with_replay = train(db, "keep_replay=true", steps=100)
    exact = record(db, extend(db, with_replay, 300))
    assert {**exact, "evaluations": exact["evaluations"][2:]} == record(db, train(db, steps=300))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, ["--steps N", "450"]),
        ({"steps": PARENT}, ["450", "more"]),
        ({"steps": 0}, ["steps", "≥ 1"]),
        ({"steps": CHILD, "beta": 0.1}, ["keeps the beta", "keep_replay", "--tag"]),
        ({"steps": CHILD, "seed": 0}, ["keeps the seed"]),
        ({"steps": CHILD, "eval_every": -1}, ["eval_every", "≥ 0"]),
    ],
    ids=str,
)
def test_what_cannot_be_extended_is_one_line_and_nothing_is_written(
    db: str, typed: dict[str, Any], words: list[str]
) -> None:
    parent = train(db, steps=PARENT)
    before = everything(db, parent)
    with pytest.raises(BadInput) as caught:
        session.extend(extension.plan(db, parent, typed), db)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert everything(db, parent) == before
    assert rows(db, "SELECT count(*) FROM run") == [(1,)]


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_only_completed_and_interrupted_runs_are_extended(db: str, state: str) -> None:
    parent = train(db, steps=PARENT)
    with sqlite3.connect(db) as connection:
        connection.execute("UPDATE run SET status = ?", [state])
    connection.close()
    with pytest.raises(BadInput, match=f"is {state}: only a completed or an interrupted run"):
        extend(db, parent)


def test_a_parent_whose_files_are_gone_leaves_nothing_behind(db: str) -> None:
    parent = train(db, steps=PARENT)
    folder = Path(f"{db}.files")
    (folder / parent).rename(folder / "elsewhere")
    with pytest.raises(BadInput, match="unusable"):
        extend(db, parent)
    assert sorted(path.name for path in folder.iterdir()) == ["elsewhere", "lock"]
    assert rows(db, "SELECT count(*) FROM run") == [(1,)]


@pytest.mark.parametrize("failing", ["write", "inherit_replay"])
def test_a_full_disk_leaves_neither_rows_nor_files(db: str, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    parent = train(db, "keep_replay=true", steps=PARENT)

    def full(*_: Any, **__: Any) -> None:
        raise CannotWrite("the disk is full: make room there")

    monkeypatch.setattr(extension.Checkpoints, failing, full)
    with pytest.raises(CannotWrite):
        extend(db, parent)
    assert rows(db, "SELECT id FROM run") == [(parent,)]
    assert sorted(path.name for path in Path(f"{db}.files").iterdir()) == sorted([parent, "lock"])


def test_it_computes_as_its_parent_did(db: str) -> None:
    parent = train(db, steps=PARENT, threads=2)
    child = extend(db, parent)
    columns = "device, threads, compiled, backend"
    assert rows(db, f"SELECT {columns} FROM run WHERE id = ?", child) == rows(
        db, f"SELECT {columns} FROM run WHERE id = ?", parent
    )
