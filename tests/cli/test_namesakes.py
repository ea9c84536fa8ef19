"""Other code by the names of dapo's packages is named in one line, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dapo_cli import app, namesakes

ROOT = Path(__file__).parents[2]
KNOWN = "has the name of dapo's own"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Makes a file in a folder that Python searches, at this place of its list."""

    def make(name: str, place: int) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        path = [*sys.path]
        path.insert(place, str(tmp_path))
        monkeypatch.setattr(sys, "path", path)
        return file

    return make


@pytest.mark.parametrize("name", ["store.py", "algorithms.py", "store/__init__.py"])
@pytest.mark.parametrize("place", [0, 99])
def test_a_namesake_is_refused_wherever_python_finds_it(mine, capsys, tmp_path, name, place):
    """First, it replaces ours; last, ours replaces it."""
    file = mine(name, place)
    assert app.main(["train", "--algo", "sac", "--env", "Pendulum-v1", "--db", str(tmp_path / "runs.db")]) == 2
    own = ROOT / name.partition(".py")[0].partition("/")[0] / "__init__.py"
    remedy = "give dapo a virtual environment of its own" if place else "start dapo with: python -P -m dapo_cli"
    said = f"dapo: {file} {KNOWN} {own}, and Python knows only one of them: rename it, or {remedy}\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "runs.db").exists()


def test_a_folder_of_that_name_without_code_and_another_dapo_are_no_namesakes(mine, tmp_path):
    mine("store/numbers.csv", 0)
    namesakes.check()
    mine("store/__init__.py", 0)
    (tmp_path / "dapo_cli").mkdir()
    namesakes.check()


def test_a_package_that_was_installed_over_ours(monkeypatch, tmp_path):
    for name in namesakes.OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("# of somebody else")
    monkeypatch.setattr(namesakes, "HOME", tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ImportError, match="a package 'algorithms' was installed over it: pip uninstall algorithms"):
        namesakes.check()


@pytest.mark.parametrize(
    "command", [["-c", "import dapo_cli.configuration.run_configuration"], ["-m", "dapo_cli", "runs"]]
)
def test_beside_a_notebook_and_beside_the_command(tmp_path, command):
    (tmp_path / "store.py").touch()
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    begins = "ImportError" if command[0] == "-c" else "dapo"
    assert done.stderr.splitlines()[-1].startswith(f"{begins}: {tmp_path / 'store.py'} {KNOWN}")
    assert (done.returncode, len(done.stderr.splitlines()) == 1) == ((1, False) if command[0] == "-c" else (2, True))
