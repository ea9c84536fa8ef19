"""Training processes that come to harm, cheap enough to start by the dozen: forked from one that has torch loaded."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import disk
import harm
import pytest
from tried import Trials
from witness import Witness, result

PRELOADED = ["harm", "dapo_cli.training.session", "torch._dynamo", "gymnasium.envs.classic_control"]
PRELOADED += [f"dapo_cli.commands.{name}" for name in ("train", "resume", "merge", "delete", "db")]


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A context whose processes start in milliseconds, and share nothing with this one.

    Between them and their files stands the shim, which does nothing before `disk.arm`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    os.environ["LD_PRELOAD"] = str(disk.build(tmp_path_factory.mktemp("shim")))
    forkserver.ensure_running()
    del os.environ["LD_PRELOAD"]
    return context


@pytest.fixture
def in_a_process(forks: Any) -> Callable[..., BaseProcess]:
    """Starts `function(*arguments)` of the module `harm` in a process of its own."""

    def start(function: Callable[..., None], *arguments: Any) -> BaseProcess:
        process: BaseProcess = forks.Process(target=function, args=arguments, daemon=True)
        process.start()
        return process

    return start


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(str(tmp_path / "runs.db"))


@pytest.fixture(scope="session")
def undisturbed(forks, tmp_path_factory) -> dict[str, object]:
    location = str(tmp_path_factory.mktemp("undisturbed") / "runs.db")
    process = forks.Process(target=harm.train, args=(location,), daemon=True)
    process.start()
    process.join(300)
    return result(location)


@pytest.fixture(scope="session")
def trials(forks, tmp_path_factory) -> Trials:
    return Trials(forks, tmp_path_factory.mktemp("trials"))
