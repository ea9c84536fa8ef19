"""A sweep that nobody disturbed."""

from __future__ import annotations

from typing import Any

import pytest
from launching import finish, record, start


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Any, ...], dict[str, list[Any]]]:
    """The record of the sweep of `launching`, trained by one worker that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(folder, "sweep", "run", "main.toml", "--workers", "1"))
    return record(folder / "runs.db")
