"""Workers on a Ray cluster: of several nodes on this machine, one of which is killed in the middle.

Ray is no part of the environment that `make` sets up, as it would add 250 MB: the slow test installs it into one of its
own, which borrows the rest from the tests'.
"""

from __future__ import annotations

import _thread
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from launching import RUNS, finish, query, record, start, wait_for

from dapo_cli.errors import BadInput
from dapo_cli.sweeps.work import launchers
from dapo_cli.sweeps.work.launchers import Request, ray

ROOT = Path(__file__).parents[2]
CLUSTER = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "200"  # of a machine that has other things to do
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    number = int(line)
    cluster.remove_node(nodes[number], allow_graceful=False)
    nodes[number] = cluster.add_node(num_cpus=1)
    print("killed", flush=True)
cluster.shutdown()
"""
CHECKPOINTED = "SELECT 1 FROM run JOIN checkpoint ON run.id = run_id WHERE status = 'running'"


class Cluster(NamedTuple):
    """A running cluster of two nodes with one CPU each."""

    python: str  # of an environment with Ray and dapo
    address: str
    process: subprocess.Popen[str]

    def kill_node(self, number: int) -> None:
        """Kill a node's processes, and add an empty node."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert "killed" in self.process.stdout.readline()


@pytest.fixture(scope="module")
def python_with_ray(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with Ray."""
    if importlib.util.find_spec("ray") is not None:
        return sys.executable
    folder = tmp_path_factory.mktemp("ray")
    venv.create(folder, with_pip=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "tests.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n{ROOT}\n")
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), "ray"]
    subprocess.run(pip, check=True)
    return python


@pytest.fixture(scope="module")
def cluster(python_with_ray: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two nodes on this machine."""
    log = tmp_path_factory.mktemp("cluster") / "log"
    with log.open("w") as errors:
        command = [python_with_ray, "-c", CLUSTER]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=log.parent
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, log.read_text()
        yield Cluster(python_with_ray, address, process)
    finally:
        process.communicate(timeout=200)  # the end of its input ends the cluster


def fake(*nodes: tuple[str, float, float]) -> SimpleNamespace:
    """A Ray of these nodes: address, CPUs, GPUs."""
    rows = [
        {"Alive": True, "NodeID": str(number), "NodeManagerAddress": host, "Resources": {"CPU": cpus, "GPU": gpus}}
        for number, (host, cpus, gpus) in enumerate(nodes)
    ]
    dead = {"Alive": False, "NodeID": "dead", "NodeManagerAddress": "elsewhere", "Resources": {"CPU": 64.0}}
    return SimpleNamespace(nodes=lambda: [*rows, dead])


def test_as_many_workers_as_there_is_room_for():
    two = fake(("a", 5.0, 0.0), ("b", 4.0, 1.0))
    assert ray._room(two, Request("runs.db", cpus=2)) == 4
    assert ray._room(two, Request("runs.db", cpus=1, jobs=2)) == 4
    assert ray._room(two, Request("runs.db", cpus=0.5, gpus=0.5)) == 2
    assert ray._room(two, Request("runs.db", workers=3)) == 3


def test_a_worker_that_fits_nowhere(capsys):
    with pytest.raises(BadInput, match="no node of the Ray cluster has 8 CPUs"):
        ray._room(fake(("a", 5.0, 0.0)), Request("runs.db", cpus=8))
    assert ray._room(fake(("a", 5.0, 0.0)), Request("runs.db", cpus=8, workers=2)) == 2
    assert "waiting for one" in capsys.readouterr().err


def test_a_file_is_not_for_many_machines():
    ray._refuse_file_on_many_hosts(fake(("a", 1, 0), ("a", 1, 0)), Request("runs.db"))
    ray._refuse_file_on_many_hosts(fake(("a", 1, 0), ("b", 1, 0)), Request("postgresql://host/results"))
    with pytest.raises(BadInput, match="PostgreSQL"):
        ray._refuse_file_on_many_hosts(fake(("a", 1, 0), ("b", 1, 0)), Request("runs.db"))


def test_no_cluster_is_named(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(BadInput, match="--address or RAY_ADDRESS"):
        launchers.check("ray", Request("runs.db"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999999", "127.0.0.1:port", "[::1]:1"])
def test_no_cluster_answers(address):
    def init(**options: object) -> None:
        raise AssertionError("Ray would try for minutes")

    with pytest.raises(BadInput, match="no Ray cluster answers"):
        ray._connect(SimpleNamespace(init=init), address)


def test_the_task_returns_what_the_worker_said(tmp_path):
    code, _, said = ray.work(["worker", "--db", str(tmp_path / "none.db")], {})
    assert code == 2
    assert said.startswith("dapo: ")
    assert ray.work(["--version"], {})[0] == 0


def test_a_cancelled_task_stops_its_worker(results):
    """Ray interrupts Python without a signal, which no system call notices."""
    location = str(results.path)
    threading.Thread(target=interrupt_once_at_work, args=(results.path,), daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        code, _, said = ray.work(["worker", "--db", location, "--stay"], {})
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, "stopped" in said) == (143, True)


def interrupt_once_at_work(database: Path) -> None:
    ((pid,),) = wait_for(lambda: query(database, "SELECT pid FROM worker"))
    _thread.interrupt_main()
    try:
        wait_for(lambda: query(database, "SELECT id FROM worker WHERE ended_at IS NOT NULL"), seconds=60)
    except AssertionError:  # fail, rather than hang
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_lost_node_costs_nothing(cluster, tmp_path, undisturbed):
    """A node killed after a checkpoint: its worker starts again, and the rows are those of an undisturbed sweep."""
    database = tmp_path / "runs.db"
    command = ["sweep", "run", "main.toml", "--launcher", "ray", "--address", cluster.address]
    sweep = start(tmp_path, *command, python=cluster.python)
    wait_for(lambda: len(query(database, "SELECT pid FROM worker")) == 2)
    wait_for(lambda: query(database, CHECKPOINTED))
    cluster.kill_node(0)
    said = finish(sweep)
    assert "2 workers handed to Ray" in said
    assert "a node of the Ray cluster was lost" in said
    assert "4 completed" in said
    assert "raylet" not in said
    assert record(database) == undisturbed
    assert len(record(database)) == RUNS
    messages = [message for (message,) in query(database, "SELECT message FROM worker ORDER BY started_at")]
    assert sum("died" in str(message) for message in messages) == 1
    assert len(messages) == 3


@pytest.mark.slow
def test_workers_stop_when_their_launcher_is_told_to(cluster, tmp_path):
    database = tmp_path / "runs.db"
    command = ["sweep", "run", "main.toml", "--launcher", "ray", "--address", cluster.address]
    sweep = start(tmp_path, *command, python=cluster.python)
    wait_for(lambda: query(database, CHECKPOINTED))
    sweep.terminate()
    assert "back in the queue" in finish(sweep, code=143)
    assert query(database, "SELECT count(*) FROM worker WHERE ended_at IS NULL") == [(0,)]
    assert any(message.startswith("stopped") for (message,) in query(database, "SELECT message FROM worker"))
    statuses = [status for (status,) in query(database, "SELECT status FROM run")]
    assert "queued" in statuses
    assert set(statuses) <= {"queued", "completed"}
