"""A copy of a database with some runs only."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from store.errors import CannotWrite
from store.records import runs, selections
from store.schema.models import Base
from store.session import Database
from store.transfer import subset

OF_RUNS = ("tag", "hyperparameter", "episode", "evaluation", "metric", "event")


def rows(database, table, run_ids=None):
    source = Base.metadata.tables[table]
    query = select(source).order_by(*source.primary_key)
    if run_ids is not None:
        query = query.where(source.c.run_id.in_(run_ids))
    with database.connect() as session:
        return [tuple(row) for row in session.execute(query)]


@pytest.fixture
def some(results, record_run):
    """Two runs of four, with rows in every table."""
    ids = [
        record_run(
            algo, seed=seed, final=[seed, float("nan")], episodes=[1.0, 2.0, seed], tags=["a", algo], settings={"m": 3}
        )
        for algo in ("sac", "dapo-kl")
        for seed in (0, 1)
    ]
    return [ids[0], ids[3]]


def test_the_copy_has_every_row_of_the_runs_and_of_no_other(results, some, tmp_path):
    target = tmp_path / "copy.db"
    subset.copy(results, some, target)
    with Database.read(str(target)) as copy:
        for table in OF_RUNS:
            expected = rows(results, table, some)
            assert rows(copy, table) == expected, table
            assert 0 < len(expected) < len(rows(results, table)) or table == "metric", table
        assert {run["id"]: run for run in runs.listing(copy)} == {id_: runs.get(results, id_) for id_ in some}
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_the_same_runs_give_the_same_bytes(results, some, tmp_path):
    subset.copy(results, some, tmp_path / "one.db")
    subset.copy(results, some[::-1], tmp_path / "two.db")
    assert (tmp_path / "one.db").read_bytes() == (tmp_path / "two.db").read_bytes()


def test_only_the_selection_that_is_named_comes_along(results, some, tmp_path):
    selections.freeze(results, "paper", some)
    selections.freeze(results, "other", some[:1])
    subset.copy(results, some, tmp_path / "copy.db", selection="paper")
    with Database.read(str(tmp_path / "copy.db")) as copy:
        assert [row["name"] for row in selections.names(copy)] == ["paper"]
        assert selections.members(copy, "paper") == sorted(some)


def test_a_run_in_training_is_interrupted_in_the_copy(results, record_run, tmp_path):
    run_id = record_run(status="running")
    subset.copy(results, [run_id], tmp_path / "copy.db")
    with Database.read(str(tmp_path / "copy.db")) as copy, copy.connect() as session:
        table = Base.metadata.tables["run"]
        assert session.scalar(select(table.c.status)) == "interrupted"


def test_checkpoints_come_with_their_files_or_not_at_all(results, some, tmp_path):
    folder = results.run_folder(some[0]) / "step-5"
    folder.mkdir(parents=True)
    (folder / "state").write_bytes(b"weights")
    (results.run_folder(some[0]) / "lock").touch()
    runs.add_checkpoint(results, some[0], step=5, path="step-5", size=7, sha256="0" * 64)
    count = select(func.count()).select_from(Base.metadata.tables["checkpoint"])
    for name, files, expected in (("bare.db", False, 0), ("whole.db", True, 1)):
        subset.copy(results, some, tmp_path / name, files=files)
        with Database.read(str(tmp_path / name)) as copy, copy.connect() as session:
            assert session.scalar(count) == expected
    copied = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*.db.files/*/**/*") if path.is_file()
    )
    assert [path for path in copied if not path.startswith("runs.db")] == [f"whole.db.files/{some[0]}/step-5/state"]


def test_an_existing_file_stays(results, some, tmp_path):
    target = Path(tmp_path / "mine.db")
    target.write_text("mine")
    with pytest.raises(CannotWrite, match="exists already"):
        subset.copy(results, some, target)
    assert target.read_text() == "mine"
