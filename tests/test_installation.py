"""The wheel: built, installed in an environment outside the clone, used there as a stranger would."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHORT = "train --algo dapo-kl --env HalfCheetah-v4 --steps 300 --eval-episodes 1"
TINY = ["--set=hidden_sizes=[16]", "--set=batch_size=8", "--set=learning_starts=100", "--set=buffer_size=1000"]


@pytest.fixture(scope="module")
def dapo(install_dapo: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The command `dapo`, installed from the wheel."""
    return str(install_dapo(tmp_path_factory.mktemp("installed")) / "dapo")


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
