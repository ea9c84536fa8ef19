"""The wheel: built, installed in an environment outside the clone, used there as a stranger would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHORT = "train --algo dapo-kl --env HalfCheetah-v4 --steps 300 --eval-episodes 1"
TINY = ["--set=hidden_sizes=[16]", "--set=batch_size=8", "--set=learning_starts=100", "--set=buffer_size=1000"]


@pytest.fixture(scope="module")
def dapo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The command `dapo`, installed from the wheel; it borrows the dependencies of the tests' environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", "*.db.files")
    shutil.copytree(ROOT, source, ignore=ignored)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("dapo_cli-*.whl")
    shutil.rmtree(source)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    # The dependencies without the clone: only the folder of third-party packages, and none of its .pth files.
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(str(Path(pytest.__file__).parents[1]))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    return str(folder / "venv" / "bin" / "dapo")


def run(dapo: str, folder: Path, *arguments: str) -> str:
    process = subprocess.run([dapo, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.slow
def test_the_wheel_trains_upgrades_and_tabulates(dapo: str, tmp_path: Path) -> None:
    location = subprocess.run(
        [Path(dapo).with_name("python"), "-P", "-c", "import algorithms, dapo_cli, store; print(store.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(ROOT) not in location
    assert "dapo-kl" in run(dapo, tmp_path, "algos")
    run(dapo, tmp_path, *SHORT.split(), *TINY)
    (trained,) = json.loads(run(dapo, tmp_path, "runs", "--json"))
    assert trained["status"] == "completed"
    latex = run(dapo, tmp_path, "table", "--rows", "algo", "--cols", "env", "--format", "latex")
    assert r"\toprule" in latex

    shutil.copy(ROOT / "tests" / "golden" / "schema-0001.db", tmp_path / "old.db")
    run(dapo, tmp_path, "db", "upgrade", "--db", "old.db")
    assert json.loads(run(dapo, tmp_path, "runs", "--json", "--db", "old.db"))
    run(dapo, tmp_path, "compare", "--db", "old.db")


@pytest.mark.slow
def test_a_folder_of_the_user_does_not_shadow_ours(dapo: str, tmp_path: Path) -> None:
    """`store` and `algorithms` are likely names; the command looks in its own place only."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "__init__.py").write_text("raise RuntimeError('the wrong store')\n")
    assert "dapo-kl" in run(dapo, tmp_path, "algos")
