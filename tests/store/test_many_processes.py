"""Many processes on one database: first-time creation, upgrades, readers, sudden death."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from backends import on_sqlite
from sqlalchemy import func, select

from store import frames
from store.connection.locks import RunLock
from store.errors import RunBusy
from store.records import runs
from store.records.recorder import Recorder
from store.schema import revisions
from store.schema.migrations import migrate
from store.schema.models import Episode, Run
from store.session import Database

ROOT = Path(__file__).parents[2]

# Waits for a start signal, so that all arrive at once; trains a made-up run; then, if asked, waits to be killed.
TRAIN = """
import socket, sys, time
from pathlib import Path
from store.records import runs
from store.connection.locks import RunLock
from store.schema.migrations import migrate
from store.records.recorder import Recorder
from store.session import Database

location, start, episodes, ending = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
while not start.exists():
    time.sleep(0.001)
with Database.write(location) as database:
    run_id = runs.new_run_id()
    lock = RunLock(database.run_folder(run_id) / "lock")
    lock.acquire()
    run = {"id": run_id, "algo": "sac", "env": "e", "seed": 0, "steps": 1, "host": socket.gethostname()}
    runs.create(database, run=run)
    recorder = Recorder(database, run_id)
    for number in range(episodes):
        recorder.episode(number, number + 1, float(number), 1, 0.0, False, True)
    recorder.flush()
    if ending == "wait":
        print(run_id, flush=True)
        time.sleep(600)
    recorder.close("completed")
"""


def start_training(location: str, start: Path, episodes: int, ending: str = "end") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRAIN, location, str(start), str(episodes), ending]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# Trains a made-up run that commits as often as it can until a file appears; prints how long its slowest commit took.
COMMIT = """
import itertools, sys, time
from pathlib import Path
from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

slowest = 0.0
with Database.write(sys.argv[1]) as database:
    run_id = runs.create(database, run={"algo": "sac", "env": "e", "seed": 0, "steps": 1})
    recorder = Recorder(database, run_id)
    for batch in itertools.count():
        if Path(sys.argv[2]).exists():
            break
        for number in range(batch * 20, batch * 20 + 20):
            recorder.episode(number, number + 1, 1.0, 1, 0.0, False, True)
        recorder.progress(batch * 20 + 20, 0.0)
        began = time.perf_counter()
        recorder.flush()
        slowest = max(slowest, time.perf_counter() - began)
        if batch == 0:
            print(run_id, flush=True)
    recorder.close("completed")
print(slowest)
"""


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("kind", ["none", "older"])
def test_eight_writers_at_once_on_a_fresh_or_old_database(location, tmp_path, kind):
    if kind == "older" and "://" in location:
        with Database(location, writable=True) as old, old.transaction() as session:
            migrate(session.connection(), "0001")
    elif kind == "older":
        shutil.copy(Path(__file__).parents[1] / "golden" / "schema-0001.db", location)
    start = tmp_path / "start"
    processes = [start_training(location, start, 500) for _ in range(8)]
    time.sleep(1.0)
    start.touch()
    for process in processes:
        finish(process)
    with Database.read(location) as database:
        made = runs.listing(database, where=Run.env == "e")
        assert [run["status"] for run in made] == ["completed"] * 8
        counts = frames.episodes(database, [run["id"] for run in made]).groupby("run_id")["number"]
        assert [sorted(numbers) for _, numbers in counts] == [list(range(500))] * 8
        assert database.revision() == revisions.HEAD
    backups = [path.name for path in tmp_path.glob("runs.db.before*")]
    assert backups == ([f"runs.db.before-{revisions.HEAD}"] if kind == "older" and "://" not in location else [])


def test_a_reader_during_writing_sees_whole_transactions(database, make_run):
    ids = [make_run(), make_run()]
    recorders = [Recorder(database, run_id) for run_id in ids]
    seen = []
    with Database.read(database.location) as reader:
        for batch in range(30):
            for recorder, run_id in zip(recorders, ids, strict=True):
                for number in range(batch * 10, batch * 10 + 10):
                    recorder.episode(number, number + 1, 1.0, 1, 0.0, False, True)
                recorder.progress(batch * 10 + 10, 0.0)
                recorder.flush()
                seen.append(len(frames.episodes(reader, [run_id])))
                assert seen[-1] == runs.get(reader, run_id)["step"]
    assert seen == [10 * (batch + 1) for batch in range(30) for _ in ids]
    for recorder in recorders:
        recorder.close("completed")


def test_readers_and_writers_of_other_processes_do_not_wait_for_each_other(database, make_run, tmp_path):
    make_run(status="completed")
    enough = tmp_path / "enough"
    command = [sys.executable, "-c", COMMIT, database.location, str(enough)]
    took, seen = [], []
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        run_id = writer.stdout.readline().strip()
        while writer.poll() is None:
            began = time.perf_counter()
            with Database.read(database.location) as reader, reader.connect() as session:
                step = session.scalar(select(Run.step).where(Run.id == run_id))
                count = session.scalar(select(func.count()).where(Episode.run_id == run_id))
            took.append(time.perf_counter() - began)
            seen.append(step)
            assert count == step
            if len(set(seen)) > 20:  # the two did work at the same time
                enough.touch()
        slowest_commit = float(writer.stdout.read())
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 20
    assert max(*took, slowest_commit) < 25  # seconds; whoever waits for a lock waits for 30, however busy the machine


def test_a_killed_run_is_interrupted_at_once_and_its_rows_are_there(location, tmp_path):
    start = tmp_path / "start"
    start.touch()
    with start_training(location, start, 300, "wait") as process:
        run_id = process.stdout.readline().strip()
        with Database.read(location) as reader:
            assert runs.get(reader, run_id)["status"] == "running"
            with Database.write(location) as writer, pytest.raises(RunBusy, match="being trained by another process"):
                runs.delete(writer, [run_id])
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert runs.get(reader, run_id)["status"] == "interrupted"
            assert len(frames.episodes(reader, [run_id])) == 300
    with Database.write(location) as writer:
        runs.delete(writer, [run_id])
        assert runs.count(writer) == 0


@on_sqlite
def test_reading_after_a_kill_does_not_change_the_database(location, tmp_path):
    start = tmp_path / "start"
    start.touch()
    with start_training(location, start, 300, "wait") as process:
        process.stdout.readline()
        process.kill()
        process.wait()
    files = [Path(location), Path(location + "-wal")]
    before = [path.read_bytes() for path in files]
    assert len(before[1]) > 0
    with Database.read(location) as reader:
        assert runs.count(reader) == 1
    assert [path.read_bytes() for path in files] == before


def test_a_lock_is_held_by_one_and_released(tmp_path):
    path = tmp_path / "a" / "lock"
    assert not RunLock.is_held(path)
    one, other = RunLock(path), RunLock(path)
    one.acquire()
    assert RunLock.is_held(path)
    with pytest.raises(RunBusy, match="run a is being trained by another process"):
        other.acquire()
    one.release()
    one.release()
    assert not RunLock.is_held(path)
    other.acquire()
    other.release()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    lock = RunLock(tmp_path / "lock")
    lock.acquire()
    ready, is_ready = os.pipe()
    end, ending = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(is_ready, b"x")
        os.close(ending)
        os.read(end, 1)  # until the parent closes its end
        os._exit(0)
    os.read(ready, 1)
    assert RunLock.is_held(lock.path)
    lock.release()
    assert not RunLock.is_held(lock.path)
    os.close(ending)
    os.waitpid(child, 0)
    for descriptor in (ready, is_ready, end):
        os.close(descriptor)
