"""The command line as a user types it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dapo_cli.app import main


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
