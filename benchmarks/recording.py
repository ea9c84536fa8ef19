"""What recording costs: the share of a training run's wall time that the recorder takes.

Counted: every call on the training thread (by the clock), and everything that the writer thread computes (its CPU time,
all of which could hold the interpreter lock in the worst case).

    python benchmarks/recording.py [--env HalfCheetah-v4] [--steps 8000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dapo_cli import config, console
from dapo_cli.training import session
from store.recorder import Recorder

spent = {"calls": 0.0, "writer": 0.0}


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its time added to the training thread's."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            spent["calls"] += time.perf_counter() - began

    return call


def main() -> None:
    """Trains once with every call of the recorder timed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v4")
    parser.add_argument("--steps", type=int, default=8000)
    options = parser.parse_args()
    write_often = Recorder._write_often

    def counted(self: Recorder) -> None:
        try:
            write_often(self)
        finally:
            spent["writer"] += time.thread_time()

    Recorder._write_often = counted  # type: ignore[method-assign]
    for name in ("episode", "evaluation", "metrics", "event", "progress", "flush"):
        setattr(Recorder, name, timed(getattr(Recorder, name)))
    console.set_verbosity(-1)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"algo": "sac", "env": options.env, "steps": options.steps, "compile": "on", "eval_every": 0}
        resolved = config.resolve(settings, ["learning_starts=1000"], directory=Path(folder))
        began = time.perf_counter()
        session.start(resolved, str(Path(folder) / "runs.db"))
        wall = time.perf_counter() - began
    for name, seconds in spent.items():
        print(f"{name:8}{seconds:8.3f} s of {wall:.1f} s: {100 * seconds / wall:.2f} %")
    print(f"together {100 * sum(spent.values()) / wall:.2f} %")


if __name__ == "__main__":
    main()
