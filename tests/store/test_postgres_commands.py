"""The commands on a database on a server, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dapo_cli.app import main
from store import frames
from store.records import runs
from store.session import Database

pytestmark = pytest.mark.slow

TRAIN = "train --algo dapo-kl --env Pendulum-v1 --eval-every 200 --eval-episodes 2 --checkpoint-every 100 -q"
TINY = "--set hidden_sizes=[16,16] --set batch_size=8 --set learning_starts=100"


class Outcome(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def dapo(new_database, monkeypatch, tmp_path, capsys) -> Callable[..., Outcome]:
    """Runs `dapo` in an empty folder, with DAPO_DB on the server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAPO_DB", new_database())
    monkeypatch.setenv("COLUMNS", "100")

    def run(command: str) -> Outcome:
        capsys.readouterr()
        code = main(command.split())
        return Outcome(code, *capsys.readouterr())

    return run


def only(location: str) -> str:
    with Database.read(location) as database:
        (run,) = runs.listing(database)
    return str(run["id"])


def record(location: str, run_id: str) -> dict[str, str]:
    with Database.read(location) as database:
        found = {
            "episodes": frames.episodes(database, [run_id]).drop(columns=["run_id", "wall_time"]).to_csv(),
            "evaluations": frames.evaluations(database, [run_id]).drop(columns="run_id").to_csv(),
            "metrics": frames.metrics(database, [run_id]).drop(columns="run_id").to_csv(),
        }
        assert runs.get(database, run_id)["exactness"] == "exact"
    return found


def test_what_a_user_does_with_a_server(dapo, tmp_path):
    location = os.environ["DAPO_DB"]
    assert dapo("runs").code == 2  # nothing is there yet
    for seed in (0, 1):
        outcome = dapo(f"{TRAIN} {TINY} --steps 300 --seed {seed}")
        assert (outcome.code, outcome.err) == (0, "")
    first = json.loads(dapo("runs --json").out)[0]["id"]
    assert dapo(f"show {first[:8]}").code == 0
    assert "dapo-kl" in dapo("compare --measure final-train").out
    assert "Pendulum" in dapo("table --rows algo --cols env").out
    assert "2 completed" in dapo("db info").out
    assert "checkpoints read" in dapo("db check").out
    assert "whole" in dapo("db check").out
    assert "newest" in dapo("db upgrade").err
    refused = dapo("db backup copy.db")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "on a server: use the server's own tool" in refused.err
    assert not list(tmp_path.glob("copy.db*"))
    browse = dapo("browse")
    assert (browse.code, browse.err.count("\n")) == (2, 1)
    assert dapo(f"mark {first} --tag paper").code == 0
    assert json.loads(dapo("runs --where tag=paper --json").out)[0]["id"] == first
    assert dapo("freeze submission").code == 0
    assert dapo("bundle out --selection submission").code == 0
    assert dapo(f"train --from {first} --steps 400 -q").code == 0
    with Database.read(location) as database:
        files = database.files
        folder = database.run_folder(first)
    assert list(folder.glob("checkpoints/*"))
    assert files.parent == tmp_path
    assert dapo(f"delete {first} --yes").code == 0
    assert not folder.exists()
    assert len(json.loads(dapo("runs --json").out)) == 2


def test_the_same_run_on_a_server_and_in_a_file_and_a_shard_merged(dapo, tmp_path):
    location = os.environ["DAPO_DB"]
    shard = str(tmp_path / "shard.db")
    assert dapo(f"{TRAIN} {TINY} --steps 300 --db {shard}").code == 0
    in_file = only(shard)
    for _ in range(2):  # again changes nothing
        assert dapo(f"merge {shard}").code == 0
        assert only(location) == in_file
    assert record(location, in_file) == record(shard, in_file)
    assert "whole; " in dapo("db check").out
    assert dapo(f"merge {location} --db {tmp_path / 'back.db'}").code == 0
    assert record(str(tmp_path / "back.db"), in_file) == record(shard, in_file)
    assert dapo(f"{TRAIN} {TINY} --steps 300 --note again").code == 0
    with Database.read(location) as database:
        again = next(run["id"] for run in runs.listing(database) if run["note"] == "again")
    assert record(location, again) == record(shard, in_file)


def test_a_killed_run_resumes_to_the_last_bit(dapo, tmp_path):
    location, whole = os.environ["DAPO_DB"], str(tmp_path / "whole.db")
    assert dapo(f"{TRAIN} {TINY} --steps 1500 --db {whole}").code == 0
    command = [sys.executable, "-P", "-m", "dapo_cli", *TRAIN.split(), *TINY.split(), "--steps", "1500"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}) as process:
        with Database.write(location) as database:
            deadline = time.monotonic() + 120
            while not (found := runs.listing(database)) or len(runs.checkpoints(database, found[0]["id"])) < 1:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert "interrupted" in dapo("runs").out
    killed = only(location)
    outcome = dapo(f"resume {killed} -q")
    assert (outcome.code, outcome.err) == (0, "")
    assert record(location, killed) == record(whole, only(whole))


def test_a_password_is_shown_nowhere(server, dapo, tmp_path):
    location = os.environ["DAPO_DB"].replace("dapo@", "dapo:hush@")  # which this server doesn't ask for
    outputs = [dapo(f"{TRAIN} {TINY} --steps 200 --db {location}")]
    run_id = only(location)
    for command in (f"show {run_id}", "runs", "runs --json", "db info", "db info --json", "table", "compare", "report"):
        outputs.append(dapo(f"{command} --db {location}"))
    outputs.append(dapo(f"show zzz --db {location}"))
    assert outputs[0].code == 0
    assert "hush" not in "".join(text for outcome in outputs for text in (outcome.out, outcome.err))
    with Database.read(location) as database:
        assert "hush" not in str(runs.get(database, run_id)) + str(runs.events(database, run_id))
    page = tmp_path / "report.html"
    assert not page.exists() or "hush" not in page.read_text()
