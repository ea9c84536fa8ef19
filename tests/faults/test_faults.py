"""Full disks, read-only folders, clocks that go backwards, environments that hang: what is left is true."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import harm
import pytest
from witness import Witness, result, run_to_its_end

from dapo_cli.app import main
from store.records import runs
from store.session import Database


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def said(location: str) -> str:
    return Path(f"{location}.said").read_text()


def test_a_full_disk(in_a_process, small_disk, tmp_path, undisturbed):
    witness = Witness(str(small_disk / "runs.db"))
    ballast = small_disk / "ballast"
    process = in_a_process(harm.held, witness.location, str(tmp_path))
    deadline = time.monotonic() + 300
    while not (tmp_path / "held").exists():  # there is a run, and it is not at its end
        assert time.monotonic() < deadline
        witness.watch(process, 0.1)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    witness.look()
    (tmp_path / "held").unlink()
    process.join(300)
    assert process.exitcode == 2
    assert witness.check() == "interrupted"
    assert any(root.suffix == ".partial" for root in small_disk.rglob("*")) is False
    ballast.unlink()
    run_to_its_end(in_a_process, witness.location)
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed


@pytest.mark.parametrize("bytes_", [150_000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_files_that_cannot_grow(in_a_process, witness, undisturbed, bytes_):
    """The first limit stops the database or its log, the second already the making of it."""
    process = in_a_process(harm.small_files, witness.location, bytes_)
    witness.watch(process, 300)
    process.join(300)
    assert process.exitcode == 2
    assert "\n" not in said(witness.location)
    if Path(witness.location).exists():
        assert witness.check() in ("interrupted", "none")
    run_to_its_end(in_a_process, witness.location)
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed


def test_a_folder_that_may_not_be_written(in_a_process):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        location = str(Path(folder) / "runs.db")
        process = in_a_process(harm.as_nobody, location)
        process.join(300)
        assert process.exitcode not in (0, -9)
        assert os.listdir(folder) == []  # noqa: PTH208
        Path(folder).chmod(0o755)


def test_memory_that_runs_out(in_a_process, witness, undisturbed):
    process = in_a_process(harm.little_memory, witness.location, 333)
    process.join(300)
    assert process.exitcode == 1
    assert "MemoryError" in said(witness.location)
    assert witness.check() == "failed"
    run_to_its_end(in_a_process, witness.location)
    assert result(witness.location) == undisturbed


def test_a_clock_that_goes_backwards(in_a_process, witness, undisturbed):
    process = in_a_process(harm.in_reverse, witness.location)
    witness.watch(process, 300)
    process.join(300)
    assert process.exitcode == 0
    assert witness.check() == "completed"
    assert result(witness.location) == undisturbed
    with Database.read(witness.location) as db:
        kinds = [event["kind"] for event in runs.events(db, runs.listing(db)[0]["id"])]
    assert kinds == ["created", "completed"]


@pytest.mark.parametrize("ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_evaluation_that_never_ends_is_left_at_once(in_a_process, witness, tmp_path, ending):
    process = in_a_process(harm.endless, witness.location, str(tmp_path))
    until_step(witness, 200)
    time.sleep(0.5)
    os.kill(process.pid, ending)
    process.join(300)
    assert process.exitcode == 128 + ending
    assert witness.check() == "interrupted"
    assert "checkpoint saved" in said(witness.location)
    with sqlite3.connect(witness.location) as connection:
        assert connection.execute("SELECT max(step) FROM checkpoint").fetchone() == (200,)
    connection.close()


def test_a_step_that_never_ends_is_left_at_the_second_signal(in_a_process, witness, tmp_path):
    process = in_a_process(harm.endless, witness.location, str(tmp_path))
    until_step(witness, 50)
    (tmp_path / "hang").touch()
    deadline = time.monotonic() + 300
    while not (tmp_path / "hanging").exists():  # however late the system lets the other process run
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.is_alive()
    while process.is_alive() and time.monotonic() < deadline + 60:  # two that come close together are one to a process
        os.kill(process.pid, signal.SIGINT)
        process.join(1)
    assert process.exitcode == 130
    assert witness.check() == "interrupted"
    assert "without a checkpoint of this moment" in said(witness.location)


def until_step(witness: Witness, step: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if Path(witness.location).exists() and Path(witness.location).stat().st_size:
            with sqlite3.connect(witness.location) as connection:
                tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'run'").fetchall()
                reached = connection.execute("SELECT max(step) FROM run").fetchone()[0] if tables else None
            connection.close()
            if reached is not None and reached >= step:
                return
        time.sleep(0.05)
    raise AssertionError(f"step {step} was not reached")


def test_a_truncated_database_is_said_to_be_damaged_and_a_backup_takes_its_place(
    in_a_process, witness, tmp_path, capsys
):
    run_to_its_end(in_a_process, witness.location)
    database = Path(witness.location)
    before = result(witness.location)
    assert main(["db", "backup", str(tmp_path / "copy.db"), "--db", witness.location]) == 0
    for size in (0.3, 0.6, 0.95):
        shutil.copy(tmp_path / "copy.db", database)
        with database.open("r+b") as file:
            file.truncate(int(database.stat().st_size * size))
        capsys.readouterr()
        assert main(["runs", "--db", witness.location]) in (0, 2)
        assert len(capsys.readouterr().err.splitlines()) <= 1
        assert main(["db", "check", "--db", witness.location]) == 1
        out, err = capsys.readouterr()
        assert out == "damaged\n"
        assert "dapo db backup" in err
    shutil.copy(tmp_path / "copy.db", database)
    assert main(["db", "check", "--db", witness.location]) == 0
    assert result(witness.location) == before
