"""Disks that are full, damaged, or on the network."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from backends import on_sqlite

from store.connection import sqlite
from store.errors import CannotWrite, StoreError
from store.records import runs
from store.session import Database


def connect_to_full_disk(path: Path, **how: bool) -> sqlite3.Connection:
    connection = connect_writing(path, **how)
    connection.execute("PRAGMA max_page_count = 20")
    return connection


connect_writing = sqlite.connect_writing


@on_sqlite
def test_a_disk_that_fills_up_while_writing(database, make_run, monkeypatch):
    make_run()
    database.close()
    monkeypatch.setattr(sqlite, "connect_writing", connect_to_full_disk)
    with pytest.raises(CannotWrite, match="the disk is full: free some space"):
        make_run(note="x" * 1_000_000)
    assert runs.count(database) == 1


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "connect_writing", connect_to_full_disk)
    with pytest.raises(CannotWrite, match="disk is full"):
        Database.write(str(tmp_path / "runs.db"))
    assert list(tmp_path.iterdir()) == []


@on_sqlite
def test_a_damaged_file(database, make_run):
    for _ in range(50):
        make_run(hyperparameters={f"name{n}": n for n in range(20)})
    database.close()
    damaged = bytearray(database.path.read_bytes())
    damaged[8192:] = os.urandom(len(damaged) - 8192)
    database.path.write_bytes(damaged)
    with pytest.raises(StoreError, match="damaged: dapo db check says"), Database.read(database.location) as reader:
        runs.listing(reader)


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:40 / /net rw,relatime shared:1 - nfs4 server:/x rw
24 22 0:41 / /net/my\\040disk rw - xfs /dev/vdb rw
25 22 0:42 / /strange rw - fuse.sshfs host: rw
26 22 0:43 / /over rw - ext4 /dev/vdc rw
27 22 0:44 / /over rw - cifs //host/x rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/runs.db", True),
        ("/network/runs.db", True),
        ("/net/a/runs.db", False),
        ("/net/my disk/runs.db", True),
        ("/strange/runs.db", False),
        ("/over/runs.db", False),
    ],
)
def test_wal_is_for_local_disks(monkeypatch, path, expected):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS)
    assert sqlite.wants_wal(Path(path)) is expected


def test_a_database_on_a_network_disk_works_without_wal(tmp_path, monkeypatch):
    location = str(tmp_path / "runs.db")
    Database.write(location).close()
    monkeypatch.setattr(sqlite, "wants_wal", lambda _: False)
    with Database.write(location) as database:
        run_id = runs.create(database, run={"algo": "sac", "env": "e", "seed": 0, "steps": 1})
        assert not sqlite.wal_of(database.path).exists()
        with Database.read(location) as reader:
            assert runs.get(reader, run_id)["seed"] == 0
        assert not sqlite.uses_wal(sqlite.header(database.path))
