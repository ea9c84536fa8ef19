"""The command line as a user types it, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dapo_cli.app import main
from store.records import runs
from store.session import Database


class Outcome(NamedTuple):
    """What a command left: its exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def dapo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs `dapo` with these arguments, in an empty folder (that of `results`) and without settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAPO_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(dapo: Callable[..., Outcome]) -> Callable[..., str]:
    """Runs `dapo`, which must refuse with exit code 2 and exactly one line on standard error; returns that line."""

    def run(*arguments: str) -> str:
        outcome = dapo(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("dapo: ")
        assert outcome.err.endswith("\n")
        assert outcome.err.count("\n") == 1
        return outcome.err.removeprefix("dapo: ").rstrip("\n")

    return run


@pytest.fixture(scope="session")
def database_of_one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with a short run, evaluated and saved at steps 200 and 300; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    command = "train --algo dapo-kl --env Pendulum-v1 --steps 300 --eval-every 200 --eval-episodes 2 -q"
    tiny = "--checkpoint-every 200 --set hidden_sizes=[16,16] --set batch_size=8 --set learning_starts=100"
    assert main([*command.split(), *tiny.split(), "--db", str(folder / "runs.db")]) == 0
    return folder


@pytest.fixture
def trained_run(database_of_one_run: Path, tmp_path: Path) -> str:
    """The id of that run, in a copy of its database in the folder of `dapo`."""
    shutil.copytree(database_of_one_run, tmp_path, dirs_exist_ok=True)
    with Database.read(str(tmp_path / "runs.db")) as database:
        return str(runs.listing(database)[0]["id"])


@pytest.fixture
def family(record_run) -> dict[str, str]:
    """Two algorithms on two environments: name -> id, oldest first."""
    ids, ours = {}, {"beta": 0.5, "m": 10}
    for seed in range(3):
        ids[f"sac-{seed}"] = record_run(seed=seed, final=[100.0 + seed], tags=["paper"])
        ids[f"kl-{seed}"] = record_run("dapo-kl", seed=seed, final=[200.0 + 10 * seed], settings=ours)
    ids["kl-low"] = record_run("dapo-kl", final=[50.0], settings={"beta": 0.1, "m": 10}, tags=["paper", "low"])
    ids["hopper"] = record_run("dapo-kl", "Hopper-v4", final=[7.0], settings=ours)
    ids["failed"] = record_run(
        "dapo-kl", "Hopper-v4", final=None, status="failed", reason="no space left", seed=1, settings=ours
    )
    ids["dead"] = record_run("dapo-kl", "Hopper-v4", final=[3.0], status="running", seed=2, settings=ours)
    return ids


@pytest.fixture
def seeds(record_run):
    """Records five seeds of an algorithm with these final returns; returns their ids."""

    def record(algo: str, finals, env: str = "HalfCheetah-v4", first: int = 0, **columns) -> list[str]:
        return [record_run(algo, env, seed=first + seed, final=[float(x)], **columns) for seed, x in enumerate(finals)]

    return record
