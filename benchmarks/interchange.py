"""Export and import of a million episodes: seconds and peak memory of each command.

python benchmarks/interchange.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from store.records import imports
from store.session import Database

RUNS, EPISODES = 4, 250_000


def make(path: Path) -> None:
    """A database of RUNS runs with EPISODES episodes each."""
    numbers = random.Random(0)
    with Database.write(str(path)) as database:
        for seed in range(RUNS):
            imports.record(
                database,
                run={"algo": "sac", "env": "X-v1", "seed": seed, "steps": 1000 * EPISODES, "status": "completed"},
                origin={"path": "benchmark", "sha256": str(seed)},
                episodes=(
                    imports.EpisodeRow(1000 * number, 1000 * numbers.random(), 1000, 0.1 * number, True)
                    for number in range(1, EPISODES + 1)
                ),
            )


def measure(name: str, folder: Path, *arguments: str) -> None:
    """Runs a command of dapo and prints its wall time and the peak of its memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dapo_cli", *arguments, "-q"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=os.environ | {"DAPO_DB": "runs.db"})
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    print(f"{name:20} {time.perf_counter() - start:5.1f} s  {usage.ru_maxrss / 1024:5.0f} MB", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "runs.db")
        for format_ in ("csv", "parquet", "tensorboard"):
            measure(f"export {format_}", folder, "export", "--format", format_, "--out", format_)
        measure("import csv", folder, "import", "csv", "--db", "back.db")


if __name__ == "__main__":
    main()
