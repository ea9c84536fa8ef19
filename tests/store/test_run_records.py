"""Runs: created, found, described, ended, deleted."""

from __future__ import annotations

import math
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from store.connection.locks import RunLock
from store.errors import AmbiguousRun, RunBusy, RunNotFound
from store.records import runs
from store.records.liveness import dead_runs, status_expression
from store.records.recorder import Recorder
from store.schema.encoding import (
    decode_setting,
    encode_setting,
    join_number,
    now,
    split_number,
)
from store.schema.models import Base, Run, Sweep, SweepRun

LONG_AGO = (datetime.now(UTC) - timedelta(seconds=90)).isoformat().replace("+00:00", "Z")


def test_a_run_comes_back_as_it_was_created(database):
    asked = {"algo": "dapo-kl", "env": "Ant-v4", "seed": 2**40, "steps": 10**10, "note": "Grüße", "dirty": True}
    settings = {"beta": 0.5, "m": 10, "temperature": "auto", "layer_norm": False, "sizes": [256, 256], "target": None}
    run_id = runs.create(
        database,
        run={**asked, "versions": {"torch": "2.13"}, "command": "dapo train --algo dapo-kl"},
        hyperparameters=[
            {"name": name, "value": value, "origin": "preset", "symbol": "β" if name == "beta" else None}
            for name, value in settings.items()
        ],
        tags=["paper", "first", "paper"],
    )
    assert len(run_id) == 16
    run = runs.get(database, run_id)
    assert run.items() >= asked.items()
    assert run["versions"] == {"torch": "2.13"}
    assert run["tags"] == ["first", "paper"]
    assert (run["status"], run["step"], run["exactness"]) == ("running", 0, "exact")
    assert run["created_at"] == run["started_at"] == run["heartbeat_at"]
    assert datetime.fromisoformat(run["created_at"]).tzinfo is UTC
    found = runs.hyperparameters(database, run_id)
    assert {row["name"]: row["value"] for row in found} == settings
    assert [type(row["value"]) for row in found] == [type(settings[row["name"]]) for row in found]
    assert {row["name"]: row["symbol"] for row in found}["beta"] == "β"
    assert [(event["kind"], event["message"]) for event in runs.events(database, run_id)] == [
        ("created", "dapo train --algo dapo-kl")
    ]


def test_a_queued_run_has_not_started(make_run, database):
    run = runs.get(database, make_run(status="queued"))
    assert (run["status"], run["started_at"], run["heartbeat_at"]) == ("queued", None, None)


def test_bytes_that_are_no_text_are_kept_as_escapes(make_run, database):
    run = runs.get(database, make_run(note="a\udcffb\0c", tags=("t\udcff",)))
    assert (run["note"], run["tags"]) == ("a\\udcffb\\x00c", ["t\\udcff"])


def test_a_value_that_is_no_setting_is_refused_before_anything_is_written(database):
    with pytest.raises(TypeError, match="not object"):
        runs.create(
            database,
            run={"algo": "sac", "env": "e", "seed": 0, "steps": 1},
            hyperparameters=[{"name": "x", "value": object(), "origin": "default"}],
        )
    assert runs.count(database) == 0


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(scalars | st.lists(st.integers() | st.floats(allow_nan=False) | st.text()))
def test_settings_survive_the_tables(value):
    back = decode_setting(*encode_setting(value))
    if isinstance(value, str):
        back.encode()  # what is no Unicode text has become escapes
        assert back == value or "\\" in back
    else:
        assert back == value
        assert type(back) is type(value)


@given(st.floats())
def test_numbers_survive_the_tables(number):
    value, kind = split_number(number)
    assert (value is None) != (kind is None)
    back = join_number(value, kind)
    assert back == number or (math.isnan(back) and math.isnan(number))


def test_a_run_is_found_by_a_unique_prefix(make_run, database):
    for digits in ("aaaaaaaa00000000", "aaaaaaab00000000", "bbbbbbbb00000000"):
        make_run(id=digits)
    assert runs.resolve(database, "b") == "bbbbbbbb00000000"
    assert runs.resolve(database, " AAAAAAAB ") == "aaaaaaab00000000"
    with pytest.raises(AmbiguousRun, match="could be any of aaaaaaaa, aaaaaaab: write more of its id"):
        runs.resolve(database, "aa")
    for unknown in ("c", "", "%", "_", "bbbbbbbb000000000"):
        with pytest.raises(RunNotFound, match="list them with: dapo runs"):
            runs.resolve(database, unknown)


def test_at_most_five_candidates_are_named(make_run, database):
    for digit in range(7):
        make_run(id=f"a{digit}" + 14 * "0")
    with pytest.raises(AmbiguousRun, match=r"a00000, a10000, a20000, a30000, a40000, …: write"):
        runs.resolve(database, "a")


def test_short_ids_are_the_shortest_that_differ(make_run, database):
    ids = ["0123456789abcdef", "0123456789ffffff", "0123450000000000", "f" * 16]
    short = dict(zip(ids, ["0123456789a", "0123456789f", "0123450", "ffffff"], strict=True))
    assert runs.shorten(ids) == short
    for digits in ids:
        make_run(id=digits)
    assert runs.shorten(database) == short
    assert runs.shorten([]) == {}


@given(st.sets(st.text("01", min_size=16, max_size=16), max_size=30))
def test_a_short_id_belongs_to_one_run(ids):
    for id_, prefix in runs.shorten(ids).items():
        assert len(prefix) >= 6
        assert [other for other in ids if other.startswith(prefix)] == [id_]


def test_listing_filters_sorts_and_limits(make_run, database):
    for seed in range(5):
        make_run(seed=seed, algo="sac" if seed % 2 else "dapo-kl")
    assert [run["seed"] for run in runs.listing(database)] == [4, 3, 2, 1, 0]
    where = Run.algo == "sac"
    assert [run["seed"] for run in runs.listing(database, where=where, order_by=[Run.seed])] == [1, 3]
    assert [run["seed"] for run in runs.listing(database, limit=2)] == [4, 3]
    assert (runs.count(database), runs.count(database, where)) == (5, 2)
    with pytest.raises(RunNotFound):
        runs.get(database, "nobody")


def test_a_running_run_of_this_host_lives_as_long_as_its_lock_is_held(make_run, database):
    run_id = make_run(host=socket.gethostname(), heartbeat_at=LONG_AGO)
    lock = RunLock(database.run_folder(run_id) / "lock")
    lock.acquire()
    assert runs.get(database, run_id)["status"] == "running"
    lock.release()
    assert runs.get(database, run_id)["status"] == "interrupted"
    assert dead_runs(database) == {run_id}


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname(), None])
def test_without_a_lock_the_heartbeat_decides(make_run, database, host):
    fresh, stale = make_run(host=host), make_run(host=host, heartbeat_at=LONG_AGO)
    assert dead_runs(database) == {stale}
    assert runs.get(database, fresh)["status"] == "running"


@pytest.mark.parametrize("status", ["queued", "completed", "diverged", "failed", "interrupted"])
def test_only_running_runs_can_be_dead(make_run, database, status):
    make_run(status=status, heartbeat_at=LONG_AGO)
    assert dead_runs(database) == set()


def test_filters_see_the_effective_status(make_run, database):
    make_run(status="completed")
    alive, dead = make_run(), make_run(heartbeat_at=LONG_AGO)
    status = status_expression(dead_runs(database))
    for wanted, expected in (("interrupted", [dead]), ("running", [alive])):
        assert [run["id"] for run in runs.listing(database, where=status == wanted)] == expected
    with database.connect() as session:
        assert session.scalars(select(status_expression(set())).distinct().order_by(Run.status)).all() == [
            "completed",
            "running",
        ]


def test_statuses_keep_their_times(make_run, database):
    run_id = make_run(status="queued")
    runs.set_status(database, run_id, "running", device="cpu")
    run = runs.get(database, run_id)
    assert (run["ended_at"], run["device"]) == (None, "cpu")
    assert (run["host"], run["pid"]) == (socket.gethostname(), os.getpid())
    assert run["started_at"] == run["heartbeat_at"] is not None
    runs.set_status(database, run_id, "failed", "out of memory")
    ended = runs.get(database, run_id)
    assert (ended["status"], ended["reason"]) == ("failed", "out of memory")
    assert ended["ended_at"] > ended["started_at"] == run["started_at"]
    runs.set_status(database, run_id, "running")
    again = runs.get(database, run_id)
    assert (again["reason"], again["ended_at"], again["started_at"]) == (None, None, run["started_at"])
    with pytest.raises(RunNotFound):
        runs.set_status(database, "nobody", "failed")
    with pytest.raises(ValueError, match="no such status"):
        runs.set_status(database, run_id, "finished")


def test_checkpoints_newest_first(make_run, database):
    run_id = make_run()
    for step in (100, 300, 200):
        runs.add_checkpoint(database, run_id, step=step, path=f"c/{step}", size=2**40, sha256="a")
    runs.add_checkpoint(database, run_id, step=300, path="c/300-b", size=5, sha256="b")
    assert [(c["step"], c["path"], c["bytes"]) for c in runs.checkpoints(database, run_id)] == [
        (300, "c/300-b", 5),
        (200, "c/200", 2**40),
        (100, "c/100", 2**40),
    ]
    runs.remove_checkpoint(database, run_id, 300)
    runs.remove_checkpoint(database, run_id, 300)
    assert [c["step"] for c in runs.checkpoints(database, run_id)] == [200, 100]


def test_events_in_order_with_their_data(make_run, database):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.event("resumed", "from step 10", 10, {"host": "there"})
    recorder.close("interrupted", "SIGTERM")
    assert [(e["kind"], e["step"], e["data"]) for e in runs.events(database, run_id)] == [
        ("created", None, None),
        ("resumed", 10, {"host": "there"}),
        ("interrupted", None, None),
    ]


def fill(database, run_id):
    runs.add_checkpoint(database, run_id, step=1, path="c", size=1, sha256="a")
    with database.transaction() as session:
        session.execute(text("INSERT INTO episode VALUES (:id, 0, 1, 1.0, NULL, 1, 1.0, true, false)"), {"id": run_id})
        session.execute(text("INSERT INTO evaluation VALUES (:id, 1, 'mean', 0, 1.0, NULL, 1)"), {"id": run_id})
        session.execute(text("INSERT INTO metric VALUES (:id, 'loss', 1, 1.0, NULL)"), {"id": run_id})
        sweep = {"id": run_id, "name": run_id, "definition": "{}", "created_at": now()}
        session.execute(insert(Sweep).values(**sweep))
        session.execute(insert(SweepRun).values(sweep_id=run_id, run_id=run_id, position=0))
    folder = database.run_folder(run_id) / "c"
    folder.mkdir(parents=True)
    (folder / "state").write_text("x")


def rows_by_run(database):
    tables = [table for table in Base.metadata.sorted_tables if "run_id" in table.c and table.name != "selection"]
    with database.connect() as session:
        return {table.name: set(session.scalars(select(table.c.run_id))) for table in tables}


def test_deletion_takes_rows_and_files_and_nothing_else(make_run, database):
    gone, kept = make_run(tags=("a",), hyperparameters={"x": 1}), make_run(tags=("a",), hyperparameters={"x": 1})
    fill(database, gone)
    fill(database, kept)
    runs.set_status(database, gone, "completed")
    assert set(map(frozenset, rows_by_run(database).values())) == {frozenset({gone, kept})}
    runs.delete(database, [gone, gone])
    assert set(map(frozenset, rows_by_run(database).values())) == {frozenset({kept})}
    assert [path.name for path in database.files.iterdir() if path.name != "lock"] == [kept]
    assert (database.run_folder(kept) / "c" / "state").read_text() == "x"


def test_deletion_is_refused_whole_if_one_run_lives_or_is_unknown(make_run, database):
    ended, locked, distant = (
        make_run(status="completed"),
        make_run(host=socket.gethostname()),
        make_run(host="elsewhere"),
    )
    for run_id in (ended, locked):
        fill(database, run_id)
    lock = RunLock(database.run_folder(locked) / "lock")
    lock.acquire()
    for ids, error in (([ended, locked], RunBusy), ([ended, distant], RunBusy), ([ended, "nobody"], RunNotFound)):
        with pytest.raises(error):
            runs.delete(database, ids)
        assert runs.count(database) == 3
        assert (database.run_folder(ended) / "c" / "state").exists()
    lock.release()
    runs.delete(database, [ended, locked])
    assert [run["id"] for run in runs.listing(database)] == [distant]
    assert [path.name for path in database.files.iterdir() if path.name != "lock"] == []


def test_a_deletion_that_fails_late_leaves_rows_and_files(make_run, database, monkeypatch):
    run_id = make_run(status="completed")
    fill(database, run_id)
    monkeypatch.setattr("sqlalchemy.orm.Session.commit", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.delete(database, [run_id])
    monkeypatch.undo()
    assert runs.count(database) == 1
    assert (database.run_folder(run_id) / "c" / "state").exists()
