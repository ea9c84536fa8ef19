"""What recorder, display and checkpoints take of a training's time, on every environment.

Trains as a user does, with the panel of a terminal, and counts every call of the three on the training thread by the
clock, and all that the recorder's writer thread computes (its CPU time, which could hold the interpreter's lock in the
worst case). Evaluations are switched off, for they would only dilute it; checkpoints are as often as by default.

    python benchmarks/recording.py [--algo sac] [--env Hopper-v4 Ant-v4] [--steps 10000] [--quick] [--write]
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _report import parser, publish, table

ENVIRONMENTS = [
    *(f"{name}-v4" for name in ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid", "InvertedPendulum")),
    "Pendulum-v1",
]
STARTS = 1000  # random steps, before the clock runs
GOAL = 2.0  # per cent


def child(algo: str, env: str, steps: int, folder: str) -> None:
    """Trains in this process, and writes seconds by what took them to a file in the folder."""
    from dapo_cli.configuration import run_configuration
    from dapo_cli.training import live, session
    from dapo_cli.training.checkpoint import Checkpoints
    from store.records.recorder import Recorder

    spent = {"recorder": 0.0, "display": 0.0, "checkpoints": 0.0, "writer thread": 0.0}
    trainer = threading.get_ident()
    inside = False
    began = 0.0

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal inside
            if inside or threading.get_ident() != trainer:
                return function(*arguments, **keywords)
            inside, since = True, time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                inside = False
                spent[part] += time.perf_counter() - since

        return call

    def wrap(owner: Any, part: str, *names: str) -> None:
        for name in names:
            setattr(owner, name, timed(part, getattr(owner, name)))

    write_often: Any = Recorder._write_often

    def counted(recorder: Recorder) -> None:
        try:
            write_often(recorder)
        finally:
            spent["writer thread"] += time.thread_time()

    Recorder._write_often = counted  # type: ignore[method-assign]
    wrap(Recorder, "recorder", "episode", "evaluation", "metrics", "event", "progress", "flush")
    wrap(live.Live, "display", "update", "evaluated")
    wrap(Checkpoints, "checkpoints", "save")
    settings = {"algo": algo, "env": env, "steps": steps, "eval_every": 0, "eval_episodes": 1, "compile": "on"}
    resolved = run_configuration.resolve(settings, [f"learning_starts={STARTS}"], directory=Path(folder))
    from algorithms.learner.off_policy import OffPolicyLearner

    update = OffPolicyLearner.update

    def first(learner: Any) -> None:
        """The clock runs from the end of the first update, compilation over."""
        nonlocal began
        update(learner)
        if learner.updating and not began:
            began = time.perf_counter()
            spent.update(dict.fromkeys(spent, 0.0))

    OffPolicyLearner.update = first  # type: ignore[method-assign]
    session.start(resolved, str(Path(folder) / "runs.db"))
    spent["wall"] = time.perf_counter() - began
    (Path(folder) / "spent.json").write_text(json.dumps(spent))


def measure(algo: str, env: str, steps: int) -> dict[str, float]:
    """Seconds by what took them, from a child on a terminal of its own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        ours, its = pty.openpty()
        arguments = json.dumps([algo, env, steps, folder])
        command = [sys.executable, __file__, "--child", arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as process:
            os.close(its)
            screen = b""
            while True:  # the terminal must be read, or its owner waits
                try:
                    part = os.read(ours, 65536)
                except OSError:  # closed by the child's end
                    break
                screen = (screen + part)[-3000:]
        os.close(ours)
        if process.returncode:
            raise SystemExit(screen.decode(errors="replace"))
        found: dict[str, float] = json.loads((Path(folder) / "spent.json").read_text())
    return found


def main() -> None:
    """A row for each environment."""
    options_of = parser(__doc__)
    options_of.add_argument("--algo", default="sac")
    options_of.add_argument("--env", nargs="+", default=ENVIRONMENTS)
    options_of.add_argument("--steps", type=int, default=10_000, help="a checkpoint comes every 10 000 and at the end")
    options = options_of.parse_args()
    environments, steps = (["Hopper-v4"], 2000) if options.quick else (options.env, options.steps)
    rows = []
    for env in environments:
        spent = measure(options.algo, env, steps)
        wall = spent.pop("wall")
        shares = [100 * seconds / wall for seconds in spent.values()]
        rows.append((env, wall, *(f"{share:.2f}" for share in [*shares, sum(shares)]), f"< {GOAL:g}"))
        print(f"{env}: {sum(shares):.2f} %", file=sys.stderr, flush=True)
    parts = ("recorder, %", "display, %", "checkpoints, %", "writer thread, %", "together, %", "goal, %")
    publish("recording", table((options.algo, "training, s", *parts), rows), options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
    else:
        main()
