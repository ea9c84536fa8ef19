"""Trains stable-baselines3's SAC with the hyperparameters of ours, and imports the runs into a database.

    python benchmarks/rival_runs.py --env HalfCheetah-v4 --seeds 100-104 [--jobs 2] [--work FOLDER] --db runs.db

Ten minutes for each run of 50 000 steps on one core. The library is installed at a pinned version into an environment
of its own. It may be stopped and started again: finished runs are kept in the work folder, and imported once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _rivals import PINS, python_of

EVERY, EPISODES = 5000, 10  # of evaluations
# As ours in docs/protocol.md; the library's own temperature begins at 1. Names on the left are those of ours.
SHARED = {
    "learning_rate": ("learning_rate", 3e-4),
    "batch_size": ("batch_size", 256),
    "buffer_size": ("buffer_size", 1_000_000),
    "learning_starts": ("learning_starts", 5000),
    "polyak": ("tau", 0.005),
    "gamma": ("gamma", 0.99),
    "initial_temperature": ("ent_coef", 0.2),
    "hidden_sizes": ("net_arch", [256, 256]),
}
# What the library does without being told.
SETTINGS = {name: value for name, (_, value) in SHARED.items()} | {
    "temperature": "auto",
    "critics": 2,
    "layer_norm": "false",
    "actor_updates_per_step": 1,
}
THEIRS = """
import json, sys
import gymnasium, torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor

env_id, seed, steps, every, episodes, folder = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
torch.set_num_threads(1)
environment = Monitor(gymnasium.make(env_id), folder + "/monitor.csv")
evaluation = Monitor(gymnasium.make(env_id))
evaluation.reset(seed=seed + 1_000_000)
callback = EvalCallback(
    evaluation, n_eval_episodes=episodes, eval_freq=every, log_path=folder, deterministic=True, verbose=0
)
options = json.loads(sys.argv[7])
options["ent_coef"] = f"auto_{options['ent_coef']}"
network = {"net_arch": options.pop("net_arch")}
model = SAC("MlpPolicy", environment, policy_kwargs=network, seed=seed, device="cpu", **options)
model.learn(steps, callback=callback)
environment.close()
"""


def train(env: str, seed: int, steps: int, work: Path) -> Path:
    """The folder of one run, which is made if it is not there in full."""
    folder = work / f"{env}-{steps}" / f"seed-{seed}"
    if not folder.exists():
        unfinished = folder.with_name(f"unfinished-{seed}")
        unfinished.mkdir(parents=True, exist_ok=True)
        print(f"training stable-baselines3's SAC on {env}, seed {seed}", flush=True)
        arguments = [env, seed, steps, EVERY, EPISODES, unfinished, json.dumps(dict(SHARED.values()))]
        limits = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command = [str(python_of("stable-baselines3")), "-P", "-W", "ignore", "-c", THEIRS, *map(str, arguments)]
        subprocess.run(command, env=os.environ | limits, check=True)
        unfinished.rename(folder)
    return folder


def bring_in(folder: Path, seed: int, steps: int, db: str) -> None:
    """Imports a run, with the settings that it was made with; one that is there already is left alone."""
    command = [sys.executable, "-m", "dapo_cli", "import", str(folder), "--algo", "sac-sb3", "--db", db]
    command += ["--seed", str(seed), "--steps", str(steps), "--note", PINS["stable-baselines3"][0]]
    command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    subprocess.run(command, check=True)


def main() -> None:
    """Trains what is missing, then imports everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", nargs="+", default=["HalfCheetah-v4"])
    parser.add_argument("--seeds", default="100-109", metavar="FIRST-LAST")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--work", type=Path, default=Path("build/stable-baselines3"), help="where the runs are made")
    parser.add_argument("--db", default="runs.db", help="database to import into")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    python_of("stable-baselines3")  # installed once, before the jobs need it
    with ThreadPoolExecutor(options.jobs) as pool:
        cases = [(env, seed) for seed in seeds for env in options.env]
        made = [(pool.submit(train, env, seed, options.steps, options.work), seed) for env, seed in cases]
        for folder, seed in made:
            bring_in(folder.result(), seed, options.steps, options.db)


if __name__ == "__main__":
    main()
