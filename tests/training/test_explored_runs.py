"""A run whose algorithm explores by itself, as docs/plugin.md shows, is exact after an interruption, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from short_runs import interrupt_at, only_run, record, rows, train

import algorithms
from dapo_cli.errors import Interrupted
from dapo_cli.training import session

PAGE = Path(__file__).parents[2] / "docs" / "plugin.md"
HEAD = """
from typing import Any
from numpy.typing import NDArray
from algorithms.core.types import Exploring
from algorithms.sac import Config, PHASES, critic_step, diagnose, init, noise_samples, refresh, regulariser, schedule
"""


def test_an_interrupted_run_explores_on(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(
        r"^```python\n(def explore.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "my_exploring.py").write_text(HEAD + code)
    monkeypatch.syspath_prepend(tmp_path)
    modules = algorithms._modules() | {"mine": "my_exploring"}
    monkeypatch.setattr(algorithms, "_modules", lambda: modules)
    whole = record(db, train(db, algo="mine", steps=500, eval_every=400))
    other = db.replace("runs", "interrupted")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 333)
        with pytest.raises(Interrupted):
            train(other, algo="mine", steps=500, eval_every=400)
    session.resume(other, only_run(other))
    assert record(other, only_run(other)) == whole
    assert rows(other, "SELECT exactness FROM run") == [("exact",)]
    plain = db.replace("runs", "plain")
    assert record(plain, train(plain, algo="sac", steps=500, eval_every=400))["tensors"] != whole["tensors"]
