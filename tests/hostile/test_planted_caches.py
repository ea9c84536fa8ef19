"""What others put where PyTorch's compiler would look is not run; a damaged cache of our own is made anew or said."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TINY = "train --algo sac --env Pendulum-v1 --steps 60 --compile on --eval-every 0 --eval-episodes 1 -q"
SET = "--set learning_starts=50 --set batch_size=8 --set hidden_sizes=[8]"


def train(place: Path) -> subprocess.CompletedProcess[str]:
    """A compiled run in a process of its own, whose caches and temporary folder are in `place`."""
    environment = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(place / "xdg"), "TMPDIR": str(place / "tmp"), "COLUMNS": "80"}
    (place / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "dapo_cli", *TINY.split(), *SET.split()]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def test_nothing_is_read_from_the_temporary_folder(place: Path) -> None:
    """A folder that another user prepared there stays as it was: no code in it can have been run."""
    planted = place / "tmp" / f"torchinductor_{getpass.getuser()}"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    done = train(place)
    assert done.returncode == 0, done.stderr
    assert [str(path) for path in (place / "tmp").rglob("*")] == [str(planted)]
    assert list((place / "xdg" / "dapo" / "torch" / "precompiled_headers").glob("*.gch"))
    (graph,) = (place / "xdg" / "dapo" / "graphs").glob("*.graph")

    graph.write_bytes(graph.read_bytes()[:-1000])  # cut off: made anew
    assert train(place).returncode == 0
    os.truncate(graph, 0)
    assert train(place).returncode == 0


def test_a_cache_that_others_prepared(place: Path) -> None:
    (place / "xdg" / "dapo" / "graphs").mkdir(parents=True)
    (place / "xdg" / "dapo").chmod(0o777)
    done = train(place)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{place / 'xdg' / 'dapo'} can be written to by others" in done.stderr
    assert done.stderr.endswith("or do without the compiler: --compile off\n")
    assert not (place / "runs.db").exists()
