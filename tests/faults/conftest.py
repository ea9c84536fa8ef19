"""Training processes that come to harm, cheap enough to start by the dozen: forked from one that has torch loaded."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import harm
import pytest
from witness import Witness, result


@pytest.fixture(scope="session")
def forks() -> Any:
    """A context whose processes start in milliseconds, and share nothing with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harm", "dapo_cli.training.session"])
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
    process.join(120)
    return result(location)
