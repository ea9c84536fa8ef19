"""A folder to type in, a command that must answer or refuse in one line, and a database with a trained run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dapo_cli.app import main
from store.records import runs
from store.session import Database


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which is that of `results`, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAPO_DB", raising=False)
    return tmp_path


@pytest.fixture
def tame(capsys: pytest.CaptureFixture[str]) -> Callable[..., int]:
    """Runs dapo, and returns the exit code: done, or bad input in one line. Nothing printed is a control character."""

    def run(*arguments: str) -> int:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        errors = [line for line in err.splitlines() if line.startswith("dapo: ") and "dapo: warning: " not in line]
        assert (code, len(errors)) in ((0, 0), (2, 1)), err
        assert "Traceback" not in out + err
        assert all(c.isprintable() or c == "\n" for c in out + err), (out, err)
        return code

    return run


@pytest.fixture(scope="session")
def folder_of_one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    command = "train --algo dapo-kl --env Pendulum-v1 --steps 300 --eval-every 0 --eval-episodes 1 -q"
    tiny = "--checkpoint-every 200 --set hidden_sizes=[16,16] --set batch_size=8 --set learning_starts=100"
    kept = "--set keep_replay=true"
    assert main([*f"{command} {tiny} {kept}".split(), "--db", str(folder / "runs.db")]) == 0
    return folder


@pytest.fixture
def trained_run(folder_of_one_run: Path, place: Path) -> str:
    """The id of a trained run, with two checkpoints, in a database in the working folder."""
    shutil.copytree(folder_of_one_run, place, dirs_exist_ok=True)
    with Database.read("runs.db") as database:
        return str(runs.listing(database)[0]["id"])
