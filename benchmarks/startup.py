"""How long a command takes to start, and how much memory training has taken by its first step.

CPU time (user and system, children included) and wall time of `dapo --help`, `dapo runs`, and `dapo train` until its
first update is done, compiled (from a warm cache) and not; the resident size then, beside stable-baselines3's. Medians.

    python benchmarks/startup.py [--repeat 7] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from _report import EXAMPLE, parser, publish, table
from _rivals import NotInstalledError, python_of

RESIDENT = """
import os
def resident():  # MB
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS"))
"""
OURS = f"""{RESIDENT}
import sys
from dapo_cli.app import main
from algorithms.learner.off_policy import OffPolicyLearner
update = OffPolicyLearner.update
def first(learner):
    begins = learner.updating
    before = resident()
    update(learner)
    if begins:
        print(before, resident(), flush=True)
        os._exit(0)
OffPolicyLearner.update = first
sys.exit(main())
"""
THEIRS = f"""{RESIDENT}
import warnings
warnings.simplefilter("ignore")
import gymnasium, torch
from stable_baselines3 import SAC
torch.set_num_threads(1)
model = SAC("MlpPolicy", gymnasium.make("HalfCheetah-v4"), learning_starts=100, seed=0, device="cpu")
model.learn(100)
before = resident()
model.train(1, 256)
print(before, resident(), flush=True)
os._exit(0)
"""
TRAIN = "train --algo sac --env HalfCheetah-v4 --set learning_starts=100 --quiet --db runs.db"

DAPO = str(Path(sys.executable).parent / "dapo")


class Start(NamedTuple):
    """One start: seconds of CPU and on the clock, and MB before and after the first update (0 where there is none)."""

    cpu: float
    wall: float
    before: float = 0.0
    after: float = 0.0


def start(command: list[str]) -> Start:
    """Runs the command in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        before, began = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise SystemExit(f"{command[:2]} failed: {done.stderr[-1000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    sizes = done.stdout.split() if OURS in command or THEIRS in command else []
    return Start(cpu, wall, *map(float, sizes))


def main() -> None:
    """Starts everything in turn, with a copy of the example as a database."""
    options_of = parser(__doc__)
    options_of.add_argument("--repeat", type=int, default=7)
    options = options_of.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = shutil.copy(EXAMPLE, folder)
        subprocess.run([DAPO, "db", "upgrade", "--db", db], capture_output=True, check=True)
        report(db, options)


def report(db: str, options: argparse.Namespace) -> None:
    """Measures, with this database for `dapo runs`, and publishes one table."""
    repeat = 2 if options.quick else options.repeat
    training = [sys.executable, "-P", "-c", OURS, *TRAIN.split()]
    commands = {
        "dapo --help": [DAPO, "--help"],
        "dapo runs": [DAPO, "runs", "--db", db],
        "first update, short run (not compiled)": [*training, "--steps", "5000"],
        "first update, long run (compiled, warm cache)": [*training, "--steps", "100000"],
    }
    remark = ""
    try:
        commands["stable-baselines3, first update"] = [str(python_of("stable-baselines3")), "-c", THEIRS]
    except NotInstalledError as error:
        remark = f"\n\nstable-baselines3 is left out: it could not be installed here ({error})."
    for command in commands.values():  # fills the caches of compiler and system
        start(command)
    measured: dict[str, list[Start]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            measured[name].append(start(command))
    goals = dict(zip(commands, ("≤ 0.25 s CPU", "≤ 0.6 s CPU", "", "≤ 4 s, MB < theirs"), strict=False))
    rows = []
    for name, starts in measured.items():
        middle = Start(*map(statistics.median, zip(*starts, strict=True)))
        sizes = [round(size) or None for size in (middle.before, middle.after)]
        rows.append((name, middle.cpu, middle.wall, *sizes, goals.get(name, "")))
    headers = ("start", "CPU, s", "wall, s", "MB before the first update", "MB after it", "goal")
    publish("startup", table(headers, rows) + remark, options)


if __name__ == "__main__":
    main()
