"""`dapo db check` finds what is damaged, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from store.integrity import checking
from store.records import runs
from store.session import Database


@pytest.fixture
def whole(results, record_run):
    """A database with a run whose checkpoint is a manifest, one file and a segment of replay."""
    run_id = record_run(episodes=[float(number) for number in range(2000)])
    folder = results.run_folder(run_id)
    files = {"checkpoints/1/tensors.safetensors": b"state", "replay/0-9.safetensors": b"rows"}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    hashes = {Path(name).name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    segment = {"file": "0-9.safetensors", "sha256": hashes.pop("0-9.safetensors")}
    manifest = folder / "checkpoints" / "1" / "manifest.json"
    manifest.write_text(json.dumps({"files": hashes, "replay": [segment]}))
    sha256 = hashlib.sha256(manifest.read_bytes()).hexdigest()
    runs.add_checkpoint(results, run_id, step=1, path="checkpoints/1", size=1, sha256=sha256)
    location = results.location
    results.close()
    return location, folder


def test_a_whole_one(whole):
    location, folder = whole
    assert checking.check(location) == checking.Report([], [], 1, [])
    (folder.parent / "orphan").mkdir()
    assert checking.check(location).leftovers == [str(folder.parent / "orphan")]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("checkpoints/1/tensors.safetensors", "tensors.safetensors is damaged"),
        ("replay/0-9.safetensors", "0-9.safetensors is damaged"),
        ("checkpoints/1/manifest.json", "manifest.json is damaged"),
    ],
)
def test_one_flipped_bit_of_a_checkpoint(whole, name, complaint):
    location, folder = whole
    content = bytearray((folder / name).read_bytes())
    content[2] ^= 1
    (folder / name).write_bytes(content)
    assert checking.check(location).problems == [f"run {folder.name}: checkpoint checkpoints/1: {complaint}"]


def test_a_missing_file(whole):
    location, folder = whole
    (folder / "replay" / "0-9.safetensors").unlink()
    assert checking.check(location).problems[0].endswith("0-9.safetensors: No such file or directory")


def test_a_copy_without_its_files_is_whole(whole, record_run):
    location, folder = whole
    folder.rename(folder.parent.parent / "elsewhere")
    assert checking.check(location) == checking.Report([], [], 0, [], 1)
    shutil.rmtree(folder.parent)
    assert checking.check(location) == checking.Report([], [], 0, [], 1)
    (folder.parent / record_run()).mkdir(parents=True)  # the files of another run are here: those are lost
    assert "manifest.json: No such file" in checking.check(location).problems[0]


def test_a_truncated_database(whole):
    location, _ = whole
    path = Path(location)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = checking.check(location)
    assert report.problems
    assert "damaged" in report.problems[0]


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("DELETE FROM run", "belongs to no run"),
        ("UPDATE run SET step = 'far'", "values: run.step is 'far' (run "),
        ("UPDATE episode SET \"return\" = x'00' WHERE number < 3", "values: episode.return is b'\\x00' (run "),
    ],
)
def test_rows_that_dapo_never_wrote(whole, sql, complaint):
    location, _ = whole
    with sqlite3.connect(location) as connection:
        connection.execute(sql)
    connection.close()
    assert complaint in checking.check(location).problems[0]


def test_checking_changes_nothing(whole):
    location, _ = whole
    before = Path(location).read_bytes()
    checking.check(location)
    assert Path(location).read_bytes() == before
    with Database.read(location) as db:
        assert runs.count(db) == 1
