"""Logs as other programs write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def monitor(tmp_path: Path) -> Callable[..., Path]:
    """Writes a monitor file as stable-baselines3 does: `rows` of (return, length, seconds)."""

    def write(
        name: str, rows: Sequence[tuple[float, int, float]], env: str | None = "Hopper-v5", start: float = 100.0
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = f'#{{"t_start": {start}, "env_id": {"null" if env is None else f"{chr(34)}{env}{chr(34)}"}}}\n'
        path.write_text(header + "r,l,t\n" + "".join(f"{r},{length},{t}\n" for r, length, t in rows))
        return path

    return write


@pytest.fixture
def evaluations(tmp_path: Path) -> Callable[..., Path]:
    """Writes an evaluations.npz as stable-baselines3's EvalCallback does."""

    def write(name: str, steps: Sequence[int], results: Sequence[Sequence[float]], **others: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"timesteps": np.array(steps), "results": np.array(results)}
        arrays |= {"ep_lengths": np.full(np.shape(results), 7)} | others
        np.savez(path, **arrays)
        return path

    return write
