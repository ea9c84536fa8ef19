"""Commands with an environment that prints, raises in close() or leaves the process; streams that were closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dapo_cli.app import main

CASES = Path(__file__).parent.parent / "cases"
MODULE = "careless_environments"
SHORT = "--steps 40 --set hidden_sizes=[8] --eval-episodes 1 --eval-every 20 --compile off".split()
CLOSE = f"dapo: warning: {MODULE}:Closes-v0's close() raised AttributeError: no viewer"


@pytest.fixture(autouse=True)
def cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CASES)


def environment(kind: str) -> list[str]:
    return ["--algo", "sac", "--env", f"{MODULE}:{kind}-v0"]


def recorded(dapo: Callable[..., Any]) -> list[dict[str, Any]]:
    return json.loads(dapo("runs", "--json").out)


def test_what_close_raises_ends_no_command(dapo: Callable[..., Any]) -> None:
    outcome = dapo("train", *environment("Closes"), *SHORT, "--seeds", "2", "--json")
    assert outcome.code == 0
    assert [run["status"] for run in json.loads(outcome.out)] == ["completed", "completed"]
    assert outcome.err.count(CLOSE) == 2
    assert dapo("train", *environment("Closes"), *SHORT, "--dry-run").code == 0
    run = json.loads(outcome.out)[0]["id"]
    played = dapo("evaluate", run, "--json", "--import", MODULE)
    assert (played.code, json.loads(played.out)["recorded"]) == (0, "same")
    assert CLOSE in played.err
    exported = dapo("export-policy", run, "--import", MODULE, "--format", "safetensors")
    assert (exported.code, exported.out) == (0, f"{run[:6]}-policy\n")
    assert CLOSE in exported.err
    queued = dapo("sweep", *environment("Closes"), *SHORT[:2], "--seeds", "1", "--name", "s", "--enqueue", "--json")
    assert (queued.code, len(json.loads(queued.out)["added"])) == (0, 1)


def test_sys_exit_ends_one_run_and_no_command(dapo: Callable[..., Any]) -> None:
    outcome = dapo("train", *environment("Quits"), *SHORT, "--seeds", "2")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == "dapo: 2 of 2 seeds failed"
    for run in recorded(dapo):
        assert run["status"] == "failed"
        assert run["reason"].startswith(f"{MODULE}:Quits-v0's step() called sys.exit()")


@pytest.mark.parametrize("quiet", [False, True])
def test_what_an_environment_prints_is_no_data(dapo: Callable[..., Any], quiet: bool) -> None:
    outcome = dapo("train", *environment("Prints"), *SHORT, "--json", *["--quiet"] * quiet)
    assert json.loads(outcome.out)["status"] == "completed"
    assert ("a step" in outcome.err) is not quiet
    played = dapo("evaluate", recorded(dapo)[0]["id"], "--import", MODULE, "--json", *["--quiet"] * quiet)
    assert json.loads(played.out)["n"] == 1
    assert ("a step" in played.err) is not quiet


def test_closed_streams_keep_nothing_from_its_end(dapo: Callable[..., Any], tmp_path: Path) -> None:
    """Nor does the database get their numbers, and what is printed."""
    typed = [sys.executable, "-P", "-m", "dapo_cli", "train", *environment("Prints"), *SHORT]
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *typed]
    subprocess.run(shell, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(CASES)}, check=True)
    assert recorded(dapo)[0]["status"] == "completed"
    assert dapo("db", "check").code == 0


def test_a_pipe_that_nobody_reads_any_more_keeps_nothing_from_its_end(
    dapo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", gone)
        patch.setattr(sys, "stderr", gone)
        assert main(["train", *environment("Prints"), *SHORT]) == 141
    assert recorded(dapo)[0]["status"] == "completed"
