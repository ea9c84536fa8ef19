"""Environment steps per second of `dapo train --algo sac` against its rivals, at equal settings.

SAC on HalfCheetah-v4: batch 256, two hidden layers of 256, one update per step, full precision, in the steady state
after warm-up and compilation. All take turns in one run, each in processes of its own that are bound to as many cores
as it has threads, so that a drift of the machine falls on all of them. Ours runs as a user runs it, recorder included.

    python benchmarks/peers.py [--minutes 9] [--only dapo sbx] [--quick] [--write]

The first call installs the rivals (minutes and a few GB, not counted), see benchmarks/_rivals.py. A rival that cannot
be installed is left out, and the result says so.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from _report import cores, parser, publish, table
from _rivals import NotInstalledError, cleanrl_script, python_of

from algorithms.learner.backend import bfloat16_available, precision_for

ENVIRONMENT, EPISODE = "HalfCheetah-v4", 1000  # its episodes all have this length
STARTS, WARM, TIMED = 500, 1000, 1000  # steps: random ones, those before the clock runs, those it measures

LEARN = """
import sys, time, warnings
warnings.simplefilter("ignore")
{head}
import gymnasium
from stable_baselines3.common.callbacks import BaseCallback
starts, warm, timed = map(int, sys.argv[1:4])
class Clock(BaseCallback):
    def _on_step(self):
        if self.num_timesteps == warm:
            self.began = time.perf_counter()
        return True
clock = Clock()
model = SAC("MlpPolicy", gymnasium.make("HalfCheetah-v4"), batch_size=256, learning_starts=starts, seed=0, device="cpu",
            policy_kwargs={{"net_arch": [256, 256]}})
model.learn(warm + timed, callback=clock)
print(timed / (time.perf_counter() - clock.began))
"""
SB3 = "from stable_baselines3 import SAC\nimport os, torch\ntorch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))\n"
SWITCH = "torch.set_float32_matmul_precision('medium')\n"


class Contender(NamedTuple):
    """Who takes part, and how it is measured."""

    name: str
    speed: Callable[[int, Path], float]  # threads and an empty folder -> steps per second
    goals: Mapping[str, float]  # layout -> what our speed should be, in units of this one's


def ours(threads: int, folder: Path, extra: Sequence[str] = ()) -> float:
    """`dapo train`, timed by the record of its episodes."""
    db = folder / "runs.db"
    command = f"train --algo sac --env {ENVIRONMENT} --steps {WARM + TIMED} --compile on --threads {threads} --quiet"
    command += f" --eval-every 0 --eval-episodes 1 --set learning_starts={STARTS} --db {db}"
    _output([sys.executable, "-P", "-m", "dapo_cli", *command.split(), *extra], threads, folder)
    with sqlite3.connect(db) as connection:
        query = "SELECT step, wall_time FROM episode WHERE step >= ? ORDER BY step"
        clock = connection.execute(query, (WARM,)).fetchall()
    connection.close()
    return float((clock[-1][0] - clock[0][0]) / (clock[-1][1] - clock[0][1]))


def learned(python: Path, head: str) -> Callable[[int, Path], float]:
    """A library with the interface of stable-baselines3, timed by a callback."""

    def speed(threads: int, folder: Path) -> float:
        command = [str(python), "-c", LEARN.format(head=head), str(STARTS), str(WARM), str(TIMED)]
        return float(_output(command, threads, folder)[-1][1])

    return speed


def cleanrl(python: Path, script: Path) -> Callable[[int, Path], float]:
    """CleanRL's script, unchanged, timed by when its line of every 100th step arrives."""

    def speed(threads: int, folder: Path) -> float:
        command = [str(python), "-u", str(script), "--env-id", ENVIRONMENT, "--no-cuda"]
        command += ["--total-timesteps", str(WARM + TIMED + 1), "--learning-starts", str(STARTS)]
        lines = _output(command, threads, folder, PYTHONPATH=str(script.parents[1]))
        ticks = [when for when, line in lines if line.startswith("SPS:")]  # steps STARTS + 100, STARTS + 200, …
        first = (WARM - STARTS) // 100 - 1
        return TIMED / (ticks[first + TIMED // 100] - ticks[first])

    return speed


def _output(command: list[str], threads: int, folder: Path, **environment: str) -> list[tuple[float, str]]:
    """The lines that the command prints, with the time at which each arrived."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    errors = folder / "stderr"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env=os.environ | limits | environment,
        ) as process,
    ):
        assert process.stdout is not None
        lines = [(time.perf_counter(), line.rstrip()) for line in process.stdout]
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:200]} failed:\n{errors.read_text(errors='replace')[-2000:]}")
    return lines


def measure(contender: Contender, processes: int, threads: int) -> float:
    """Steps per second of so many processes at once, in total."""
    places = sorted(os.sched_getaffinity(0))

    def one(number: int) -> float:
        mine = [places[(number * threads + i) % len(places)] for i in range(threads)]
        os.sched_setaffinity(0, mine)  # of this thread alone; its child inherits it
        with tempfile.TemporaryDirectory() as folder:
            return contender.speed(threads, Path(folder))

    with ThreadPoolExecutor(processes) as pool:
        return sum(pool.map(one, range(processes)))


def contenders(only: Sequence[str]) -> tuple[list[Contender], list[str]]:
    """Those that can be had here, ours first, and remarks on the others."""
    exact = precision_for(torch.device("cpu")) == "medium"
    switched = "stable-baselines3, switched" if exact else "stable-baselines3, switched (bfloat16 here)"
    goals = {"one thread": 2.4} if exact else {}
    makers: dict[str, Callable[[], list[Contender]]] = {
        "stable-baselines3": lambda: [
            Contender("stable-baselines3", learned(python_of("stable-baselines3"), SB3), {"one thread": 3.2}),
            Contender(switched, learned(python_of("stable-baselines3"), SB3 + SWITCH), goals),
        ],
        "sbx": lambda: [
            Contender(
                "SBX", learned(python_of("sbx"), "from sbx import SAC"), {"one thread": 1.6, "two processes": 1.45}
            )
        ],
        "cleanrl": lambda: [Contender("CleanRL", cleanrl(python_of("cleanrl"), cleanrl_script()), {})],
    }
    found, remarks = [Contender("dapo", ours, {})], []
    options = subprocess.run(
        [sys.executable, "-P", "-m", "dapo_cli", "train", "--help"], capture_output=True, text=True
    )
    if "--precision" in options.stdout and bfloat16_available(torch.device("cpu")):
        found.append(
            Contender("dapo, bf16", lambda threads, folder: ours(threads, folder, ["--precision", "bf16"]), {})
        )
    for name, make in makers.items():
        if only and name not in only:
            continue
        try:
            found += make()
        except NotInstalledError as error:
            remarks.append(f"{name} is left out: it could not be installed here ({error}).")
    if not exact:
        remarks.append("On this processor the switch means bfloat16 products, so that that row is not full precision.")
    return found, remarks


def main() -> None:
    """Runs round after round while there is time, and prints a table for each layout."""
    options_of = parser(__doc__)
    options_of.add_argument("--minutes", type=float, default=9, help="begin no round that would end later")
    options_of.add_argument("--only", nargs="+", default=[], metavar="RIVAL", help="stable-baselines3, sbx, cleanrl")
    options = options_of.parse_args()
    layouts = {"one thread": (1, 1)}
    if cores() > 1 and not options.quick:
        layouts |= {"two threads": (1, 2), "two processes": (2, 1)}
    taking_part, remarks = contenders(options.only)
    measured: dict[str, dict[str, list[float]]] = {layout: {c.name: [] for c in taking_part} for layout in layouts}
    began, rounds = time.monotonic(), 0
    while not rounds or (
        not options.quick and (time.monotonic() - began) * (rounds + 1) / rounds < 60 * options.minutes
    ):
        for layout, (processes, threads) in layouts.items():
            for contender in taking_part:
                speed = measure(contender, processes, threads)
                measured[layout][contender.name].append(speed)
                print(f"round {rounds + 1}, {layout}: {contender.name} {speed:.0f}", file=sys.stderr, flush=True)
        rounds += 1
    parts = []
    for layout, speeds in measured.items():
        rows = []
        for contender in taking_part:
            mine, its = speeds["dapo"], speeds[contender.name]
            ratio = statistics.median(a / b for a, b in zip(mine, its, strict=True))
            each = ", ".join(f"{speed:.0f}" for speed in its)
            goal = contender.goals.get(layout)
            rows.append((contender.name, statistics.median(its), each, f"{ratio:.2f}", goal))
        headers = (f"{layout}, steps/s", "median", "each round", "dapo's is so many times that", "goal")
        parts.append(table(headers, rows))
    publish("peers", "\n\n".join([*parts, *remarks]), options)


if __name__ == "__main__":
    main()
