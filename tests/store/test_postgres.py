"""A PostgreSQL server that is away, refuses, restarts or breaks the connection; many writers on it; where files lie."""

from __future__ import annotations

import threading
import time

import pytest
from backends import on_postgresql
from postgres_server import serve
from sqlalchemy import event, text
from test_many_processes import finish, start_training

from store import frames
from store.connection import database_location, postgresql
from store.errors import Disconnected, RunBusy, StoreError
from store.records import runs, selections
from store.records.recorder import Recorder
from store.schema.models import Run
from store.session import Database


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("postgresql://me@127.0.0.1:1/runs", "Connection refused: is the server running, and its address right"),
        ("postgresql://me:hush@/runs?host=/nowhere", "No such file or directory: is the server running"),
        ("postgresql://me:hush@host.invalid/runs", "resolve host 'host.invalid'.*: is the server running"),
        ("postgresql://me:hush@host", r"me:\*\*\*@host names no database: append /name"),
        ("postgresql://me:hush@host:port/runs", r"me:\*\*\*@host:port/runs is no database URL"),
        ("postgresql://me:hush@host/runs?files=a&files=b", r"me:\*\*\*@host/.*: files= names one folder"),
        ("postgresql+nothing://me:hush@host/runs", "no driver for postgresql"),
    ],
)
def test_a_server_that_can_not_be_reached_is_one_line_without_the_password(location, words):
    for open_ in (Database.read, Database.write):
        with pytest.raises(StoreError, match=words) as caught:
            open_(location)
        assert "hush" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_files_of_a_server_s_runs_are_where_its_url_says(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert database_location.parse("postgresql://host/runs").files == tmp_path / "runs.files"
    named = database_location.parse("postgresql://me:hush@host/runs?files=%2Fshared%2Fmy+runs&connect_timeout=3")
    assert str(named.files) == "/shared/my runs"
    assert named.shown == "postgresql://me:***@host/runs?connect_timeout=3&files=%2Fshared%2Fmy+runs"
    assert database_location.parse("postgresql://host/runs?files=here").url.query["files"] == str(tmp_path / "here")
    assert "files" not in postgresql.engine(named.url).url.query


@pytest.mark.slow
def test_what_the_server_refuses(server):
    for location, words in (
        (server.location("missing"), 'database "missing" does not exist: create it there .createdb.'),
        (server.location().replace("dapo@", "nobody@"), 'role "nobody" does not exist: check the user'),
        (server.location("postgres"), "no results database at .* yet: train a run first"),
    ):
        with pytest.raises(StoreError, match=words):
            Database.read(location)
    server.execute("CREATE TABLE IF NOT EXISTS run (x INT)")
    with pytest.raises(StoreError, match="is a database, but not one of dapo's results"):
        Database.write(server.location("postgres"))
    server.execute("DROP TABLE run")


@pytest.mark.slow
def test_a_wrong_password_is_one_line_and_a_right_one_is_shown_to_nobody():
    with serve(passwords=True) as server:
        location = server.location()
        with Database.write(location) as database:
            assert "open" not in database.location
            with pytest.raises(StoreError) as caught:
                runs.get(database, "none")
            assert "sesame" not in str(caught.value)
        wrong = location.replace("sesame", "pepper")
        with pytest.raises(
            StoreError, match=r"password authentication failed.*: check the user and the pass"
        ) as caught:
            Database.write(wrong)
        assert not {"pepper", "sesame"} & set(str(caught.value).split())


@on_postgresql
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_outlives_a_restart_of_the_server(database, server, make_run, monkeypatch, mode):
    monkeypatch.setattr("store.records.recorder.INTERVAL", 0.05)
    run_id = make_run()
    recorder = Recorder(database, run_id)
    for number in range(60):
        recorder.episode(number, number + 1, 1.0, 1, 0.0, False, True)
        recorder.event("mark", str(number))
        if number == 20:
            server.stop(mode)
            with pytest.raises(Disconnected, match="is the server running"):
                Database.read(database.location)  # who looks is not kept waiting
        time.sleep(0.02)
    back = threading.Timer(1.5, server.start)
    back.start()
    recorder.flush()  # waits for it
    runs.add_checkpoint(database, run_id, step=60, path="checkpoints/60", size=1, sha256="a")
    recorder.close("completed")
    back.join()
    assert frames.episodes(database, [run_id])["number"].tolist() == list(range(60))
    assert [row["message"] for row in runs.events(database, run_id) if row["kind"] == "mark"] == [*map(str, range(60))]


@on_postgresql
@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("ending", [False, True])
def test_a_connection_that_breaks_while_the_server_commits(database, server, make_run, monkeypatch, committed, ending):
    monkeypatch.setattr("store.records.recorder.INTERVAL", 1e6)
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.episode(0, 1, 1.0, 1, 0.0, False, True)
    recorder.event("mark", "one")
    broken = []

    def break_once(connection):
        if not broken:
            broken.append(True)
            if committed:
                connection.connection.dbapi_connection.commit()
            pid = connection.connection.dbapi_connection.info.backend_pid
            server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
            connection.exec_driver_sql("SELECT 1")  # finds out, as the commit would

    event.listen(database.engine, "commit", break_once)
    if ending:
        recorder.close("completed")
    else:
        recorder.flush()
    assert broken
    recorder.close("completed")
    assert frames.episodes(database, [run_id])["number"].tolist() == [0]
    assert [row["kind"] for row in runs.events(database, run_id)] == ["created", "mark", "completed"]


@on_postgresql
def test_a_reader_sees_one_state_even_when_writers_do_not_wait(database, make_run):
    make_run()
    with Database.read(database.location) as reader, reader.connect() as session:
        assert session.scalar(text("SELECT count(*) FROM run")) == 1
        make_run()
        assert session.scalar(text("SELECT count(*) FROM run")) == 1
    assert runs.count(database) == 2


@on_postgresql
def test_of_two_who_freeze_a_name_at_once_one_is_refused(database, make_run):
    ids = [make_run(), make_run()]
    gate, outcomes = threading.Barrier(2), []

    def freeze(run_id):
        with Database.write(database.location) as own:
            gate.wait()
            try:
                selections.freeze(own, "paper", [run_id])
                outcomes.append("frozen")
            except StoreError as error:
                outcomes.append("refused" if "holds other runs" in str(error) else str(error))

    threads = [threading.Thread(target=freeze, args=(run_id,)) for run_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["frozen", "refused"]
    assert len(selections.members(database, "paper")) == 1


def test_a_run_that_another_machine_took_over_is_written_to_no_more(database, make_run):
    run_id = make_run(host="here", pid=1)
    recorder = Recorder(database, run_id)
    recorder.episode(0, 1, 1.0, 1, 0.0, False, True)
    recorder.flush()
    runs.set_status(database, run_id, "running", host="there", pid=2)
    recorder.episode(1, 2, 1.0, 1, 0.0, False, True)
    for write in (recorder.flush, lambda: recorder.close("completed")):
        with pytest.raises(RunBusy, match="was taken over by process 2 on there: leave it to that one"):
            write()
    assert frames.episodes(database, [run_id])["number"].tolist() == [0]
    assert runs.get(database, run_id)["host"] == "there"


@on_postgresql
def test_sixteen_writers_at_once_on_a_fresh_database(location, tmp_path):
    start = tmp_path / "start"
    processes = [start_training(location, start, 1000 + number) for number in range(16)]
    time.sleep(3.0)
    start.touch()
    for process in processes:
        finish(process)
    with Database.read(location) as database:
        made = runs.listing(database, where=Run.env == "e")
        assert [run["status"] for run in made] == ["completed"] * 16
        counts = frames.episodes(database, [run["id"] for run in made]).groupby("run_id")["number"]
        assert sorted(len(numbers) for _, numbers in counts) == [1000 + number for number in range(16)]
        assert all(sorted(numbers) == list(range(len(numbers))) for _, numbers in counts)
