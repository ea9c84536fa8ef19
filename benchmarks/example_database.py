"""Makes `runs.db.example` again: real runs of the off-policy family, recorded by the tool itself.

    python benchmarks/example_database.py [--jobs 2] [--work FOLDER]

About an hour and a half on two cores. It may be stopped and started again: completed runs are kept in the work folder,
interrupted ones are resumed. The example is a copy without the runs' files, checkpoints and the machine's name.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from store import maintenance, runs
from store.session import Database

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["hidden_sizes=[64, 64]", "learning_rate=1e-3"]

# What every algorithm does, by environment: steps, and --set.
STUDIES: dict[str, tuple[int, list[str]]] = {
    "HalfCheetah-v4": (30_000, []),
    "Hopper-v4": (20_000, []),
    "Pendulum-v1": (20_000, SMALL),
}
SEEDS = 2
FAMILY = ("ampo", "dapo-kl", "dapo-l2", "mampo", "mdpo", "sac")


def commands() -> list[list[str]]:
    """The arguments of `dapo train`, run by run: the family everywhere, and DAPO-KL's β on one environment."""
    studies = [
        (algo, env, seed, steps, settings)
        for seed in range(SEEDS)
        for env, (steps, settings) in STUDIES.items()
        for algo in FAMILY
    ]
    for beta in (0.1, 0.9):
        steps, settings = STUDIES["Pendulum-v1"]
        studies += [("dapo-kl", "Pendulum-v1", seed, steps, [*settings, f"beta={beta}"]) for seed in range(SEEDS)]
    return [
        ["--algo", algo, "--env", env, "--seed", str(seed), "--steps", str(steps), "--eval-every", "5000"]
        + [part for setting in settings for part in ("--set", setting)]
        for algo, env, seed, steps, settings in studies
    ]


def train(arguments: list[str], work: Path) -> None:
    """Trains one run to its end, unless the work folder has it; one that was interrupted is resumed."""
    note = " ".join(arguments)
    database = work / "runs.db"
    before: dict[str, str] = {}  # status -> the run that these arguments have made
    if database.exists():
        with Database.read(str(database)) as db:
            before = {run["status"]: run["id"] for run in runs.listing(db) if run["note"] == note}
    if "completed" in before or "diverged" in before:  # divergence is a result
        return
    again = before.get("interrupted") or before.get("running")
    typed = ["resume", again] if again else ["train", *arguments, "--tag", "example", "--note", note]
    print("dapo", *typed, flush=True)
    environment = os.environ | {"DAPO_DB": str(database), "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-m", "dapo_cli", *typed], cwd=work, env=environment, check=False, **quiet)


def publish(work: Path, target: Path) -> None:
    """Copies the record without what belongs to this machine."""
    aside = work / "example.db"
    aside.unlink(missing_ok=True)
    maintenance.backup(str(work / "runs.db"), aside)
    with Database.write(str(aside)) as db, db.transaction() as session:
        session.execute(text("DELETE FROM checkpoint"))
        session.execute(text("DELETE FROM run WHERE status NOT IN ('completed', 'diverged')"))
        session.execute(text("UPDATE run SET host = NULL, pid = NULL, note = NULL"))
        session.execute(text("UPDATE event SET data = NULL"))
    connection = sqlite3.connect(aside)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()
    aside.replace(target)


def main() -> None:
    """Trains what is missing, then writes the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "example", help="where the runs are made")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda arguments: train(arguments, options.work), commands()))
    publish(options.work, ROOT / "runs.db.example")


if __name__ == "__main__":
    main()
