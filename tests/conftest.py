"""A database of runs, made as training makes them; dapo installed from its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])  # `dapo`
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before PyTorch looks: what the tests expect is what a CPU computes
import torch

from store.records import runs
from store.records.recorder import Recorder
from store.session import Database

# No test depends on the clock: a busy machine is slow, and nothing is wrong with that.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

torch.set_num_threads(1)  # as training does; the processes of a parallel test run share the cores


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Database]:
    """`runs.db` in a folder of its own, open for writing."""
    with Database.write(str(tmp_path / "runs.db")) as database:
        yield database


@pytest.fixture
def record_run(results: Database) -> Callable[..., str]:
    """Records a run into `results` and returns its id; keywords other than those named are columns of `run`.

    `final`: the returns of its last evaluation, at the last step (None: it was never evaluated); an earlier evaluation
    returned 0. `episodes`: the returns of its training episodes. `status` "running" leaves it without a process.
    """

    def record(
        algo: str = "sac",
        env: str = "HalfCheetah-v4",
        *,
        final: Sequence[float] | None = (1.0,),
        episodes: Sequence[float] = (),
        status: str = "completed",
        reason: str | None = None,
        tags: Sequence[str] = (),
        settings: dict[str, object] | None = None,
        metrics: dict[str, Sequence[float]] | None = None,
        **columns: object,
    ) -> str:
        row = {"algo": algo, "env": env, "seed": 0, "steps": 1000, **columns}
        rows = [{"name": name, "value": value, "origin": "default"} for name, value in (settings or {}).items()]
        run_id = runs.create(results, run=row, hyperparameters=rows, tags=tags)
        recorder = Recorder(results, run_id)
        for number, value in enumerate(episodes):
            recorder.episode(number, number + 1, value, 1, 0.1, False, True)
        for name, values in (metrics or {}).items():
            for number, value in enumerate(values):
                recorder.metrics(100 * (number + 1), {name: value})
        if final is not None:
            recorder.evaluation(500, "mean", 0, 0.0, 1)
            for number, value in enumerate(final):
                recorder.evaluation(1000, "mean", number, value, 1)
                recorder.evaluation(1000, "sampled", number, -1.0, 1)
        recorder.progress(1000 if status == "completed" else 400, 10.0)
        recorder.close(status, reason)
        if status == "running":
            runs.set_status(results, run_id, "running", heartbeat_at="2000-01-01T00:00:00.000000Z")
        return run_id

    return record


@pytest.fixture(scope="session")
def install_dapo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Installs the wheel in a new environment in a folder, and returns the folder of its commands.

    That environment is outside the clone and borrows the dependencies of the tests'.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", "*.db.files")
    shutil.copytree(Path(__file__).parents[1], source, ignore=ignored)
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("dapo_cli-*.whl")
    shutil.rmtree(source)

    def install(target: Path) -> Path:
        venv.create(target / "venv", with_pip=False)
        commands = target / "venv" / "bin"
        # The dependencies without the clone: only the folder of third-party packages, and none of its .pth files.
        (site,) = (target / "venv" / "lib").glob("python*/site-packages")
        (site / "dependencies.pth").write_text(str(Path(pytest.__file__).parents[1]))
        python = ["--python", str(commands / "python")]
        subprocess.run([*pip, *python, "install", "--quiet", "--no-deps", str(wheel)], check=True)
        return commands

    return install
