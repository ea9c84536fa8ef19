"""Trains with nothing but the defaults, and prints what came of it: do they learn?

    python benchmarks/family.py [--algos sac,dapo-kl] [--envs CartPole-v1] [--steps 20000] [--seeds 0-2] [--db FILE]

One line a seed: the last evaluation, and the mean of the last three (with mean actions, 10 episodes each). Runs that
the database has already are not made again, so that it may be stopped and started.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import fmean

from dapo_cli.configuration import run_configuration
from dapo_cli.training import session
from store.records import runs
from store.records.summaries import evaluation_curves
from store.schema.models import Run
from store.session import Database

ALGOS = "dapo-kl,sac,ampo,dapo-l2,dapo-kl-star"
ENVS = "Acrobot-v1,CartPole-v1"


def main() -> None:
    """Reads the options, trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algos", default=ALGOS)
    parser.add_argument("--envs", default=ENVS)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--db", default="family.db")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    print("| environment | algorithm | seed | last evaluation | mean of the last three |")
    print("| :--- | :--- | ---: | ---: | ---: |")
    for env in options.envs.split(","):
        for algo in options.algos.split(","):
            for seed in seeds:
                last_one, last_three = scores(options, algo, env, seed)
                print(f"| {env} | {algo} | {seed} | {last_one:.0f} | {last_three:.0f} |", flush=True)


def scores(options: argparse.Namespace, algo: str, env: str, seed: int) -> tuple[float, float]:
    """The mean return of the last evaluation, and of the last three; trains first where that is not on record."""
    every = max(1, options.steps // 10)
    chosen = {"algo": algo, "env": env, "seed": seed, "steps": options.steps, "eval_every": every}
    wanted = run_configuration.identity(session.resolved(run_configuration.resolve(chosen)))
    found = _run(options.db, wanted)
    if found is None:
        typed = [text for name, value in chosen.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        subprocess.run([sys.executable, "-m", "dapo_cli", "train", *typed, "--db", options.db, "--quiet"], check=True)
        found = _run(options.db, wanted)
    assert found is not None
    with Database.read(options.db) as db:
        returns = evaluation_curves(db, Run.id == found)[found][1]
    return returns[-1], fmean(returns[-3:])


def _run(location: str, configuration: str) -> str | None:
    with Database.write(location) as db:
        rows = runs.listing(db, where=(Run.configuration == configuration) & (Run.status == "completed"))
    return rows[0]["id"] if rows else None


if __name__ == "__main__":
    main()
