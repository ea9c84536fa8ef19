"""How long looking takes at scale: 1000 runs, a million episodes, and evaluations and diagnostics in proportion.

    python benchmarks/scale.py [--db FILE] [--repeat 5]

Makes the database (always the same one, 0.6 GB in less than a minute; an existing FILE is used as it is), then times
commands as a user types them: wall time in seconds, the interpreter's start included.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dapo_cli.configuration import run_configuration
from store.schema.encoding import encode_setting
from store.session import Database

ALGORITHMS = ("dapo-kl", "dapo-l2", "mampo", "mdpo", "sac")
ENVIRONMENTS = ("Ant-v4", "HalfCheetah-v4", "Hopper-v4", "Humanoid-v4", "Walker2d-v4")
SEEDS = 40
STATUSES = [*["completed"] * 36, "completed", "diverged", "failed", "interrupted"]  # by seed
STEPS, LENGTH = 1_000_000, 940  # environment steps of a run and of an episode
EVALUATE, EVALUATION_EPISODES = 10_000, 10
LOG = 1000
METRICS = ("actor_loss", "critic_loss", "q", "temperature", "entropy", "target_q", "kl", "q_std", "grad", "saturation")

GOALS = {"runs": 0.6, "show": 0.6, "compare": 2.0, "table": 2.0, "ledger": None, "compute": None}  # seconds

Row = tuple[Any, ...]


def runs() -> list[dict[str, Any]]:
    """Every run, by id, as its columns."""
    generator = random.Random(0)
    found = []
    for algo in ALGORITHMS:
        for env in ENVIRONMENTS:
            for seed in range(SEEDS):
                minute, status = len(found), STATUSES[seed]
                done = STEPS if status == "completed" else STEPS // 3
                made = f"2026-01-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00.000000Z"
                found.append(
                    {
                        "id": f"{generator.getrandbits(64):016x}",
                        "kind": "train",
                        "algo": algo,
                        "env": env,
                        "seed": seed,
                        "status": status,
                        "reason": None if status in ("completed", "interrupted") else "made up",
                        "exactness": "exact",
                        "steps": STEPS,
                        "step": done,
                        "wall_time": done / 250,
                        "created_at": made,
                        "started_at": made,
                        "ended_at": made,
                        "command": f"dapo train --algo {algo} --env {env} --seed {seed}",
                        "commit": "0" * 40,
                        "dirty": False,
                        "versions": json.dumps({"mujoco": "4.0.0", "torch": "2.13.0"}),
                        "processor": "made up",
                        "threads": 1,
                        "device": "cpu",
                        "compiled": True,
                    }
                )
    return sorted(found, key=lambda run: run["id"])


def level(run: dict[str, Any], share: float) -> float:
    """The expected return of a run after this share of its budget."""
    skill = 1 + ALGORITHMS.index(run["algo"]) / 10 + run["seed"] / 200
    return 5000 * skill * share / (share + 0.2)


def rows(run: dict[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    """What a run recorded: table, and rows in the order of its primary key."""
    run_id, done = run["id"], run["step"]
    generator = random.Random(run_id)
    noise = [generator.gauss(0, 300) for _ in range(STEPS // LENGTH)]
    ends = range(LENGTH, done + 1, LENGTH)
    yield (
        "episode",
        [
            (run_id, number, step, level(run, step / STEPS) + noise[number], None, LENGTH, step / 250, False, True)
            for number, step in enumerate(ends)
        ],
    )
    yield (
        "evaluation",
        [
            (run_id, step, "mean", number, level(run, step / STEPS) + noise[number], None, LENGTH)
            for step in range(EVALUATE, done + 1, EVALUATE)
            for number in range(EVALUATION_EPISODES)
        ],
    )
    logged = range(LOG, done + 1, LOG)
    yield "metric", [(run_id, name, step, noise[step % 997], None) for name in sorted(METRICS) for step in logged]


def settings() -> dict[str, list[Row]]:
    """The rows of `hyperparameter` of each algorithm, without the run's id."""
    found = {}
    for algo in ALGORITHMS:
        values = run_configuration.resolve({"algo": algo, "env": "Ant-v4"}, directory=Path("/")).rows()
        encoded = [(row, *encode_setting(row["value"])) for row in values]
        found[algo] = [(row["name"], value, type_, row["origin"], row["symbol"]) for row, value, type_ in encoded]
    return found


def make(place: Path) -> None:
    """Makes the database in bulk, in the order of its keys and without a journal."""
    Database.write(str(place)).close()
    connection = sqlite3.connect(place)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
        connection.execute(f"PRAGMA {pragma}")
    of_algorithm = settings()
    for run in runs():
        columns = ", ".join(f'"{name}"' for name in run)
        connection.execute(f"INSERT INTO run ({columns}) VALUES ({', '.join('?' * len(run))})", tuple(run.values()))
        tables = [("hyperparameter", [(run["id"], *row) for row in of_algorithm[run["algo"]]]), *rows(run)]
        for table, found in tables:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)
    connection.commit()
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def measure(place: Path, command: list[str], repeat: int) -> list[float]:
    """Wall times of the command, in seconds."""
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        arguments = [sys.executable, "-P", "-m", "dapo_cli", *command, "--db", str(place)]
        subprocess.run(arguments, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return times


def main() -> None:
    """Makes the database if need be, and prints a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = (options.db or Path(folder) / "runs.db").absolute()
        if not place.exists():
            began = time.perf_counter()
            make(place)
            print(f"made {place.stat().st_size / 1e6:.0f} MB in {time.perf_counter() - began:.0f} s")
        print("            min  median  goal")
        for name, goal in GOALS.items():
            times = measure(place, [name, *([runs()[0]["id"]] if name == "show" else [])], options.repeat)
            middle = statistics.median(times)
            verdict = "" if goal is None else f"{goal:6.1f}{'' if middle < goal else '  missed'}"
            print(f"{name:8}{min(times):7.2f} {middle:7.2f}{verdict}", flush=True)


if __name__ == "__main__":
    main()
