"""Environment steps per second of `dapo train --algo sac` against stable-baselines3's SAC, at equal settings.

HalfCheetah-v4, batch 256, two hidden layers of 256, one update per step, one thread, after warm-up. The two take turns,
each in a process of its own, and the ratio is that of each pair, so that a machine whose speed drifts does not decide.
Ours is measured as a user runs it, recorder included.

    python benchmarks/peers.py [--rounds 3] [--steps 4000]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT, EPISODE = "HalfCheetah-v4", 1000  # its episodes all have this length
WARM_UP = 2 * EPISODE  # of which the first half are random actions

PEER = """
import sys, time, warnings
warnings.simplefilter("ignore")
import gymnasium, torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
torch.set_num_threads(1)
warm_up, steps = int(sys.argv[1]), int(sys.argv[2])
class Clock(BaseCallback):
    def _on_step(self):
        if self.num_timesteps == warm_up:
            self.began = time.perf_counter()
        return True
clock = Clock()
model = SAC("MlpPolicy", gymnasium.make("HalfCheetah-v4"), learning_starts=warm_up // 2, seed=0, device="cpu")
model.learn(warm_up + steps, callback=clock)
print(steps / (time.perf_counter() - clock.began))
"""


def ours(steps: int) -> float:
    """Steps per second of `dapo train` between the end of the warm-up and the end of the run."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "runs.db"
        command = f"train --algo sac --env {ENVIRONMENT} --steps {WARM_UP + steps} --compile on --eval-every 0"
        command += f" --eval-episodes 1 --set learning_starts={WARM_UP // 2} --quiet --db {db}"
        subprocess.run(
            [sys.executable, "-P", "-m", "dapo_cli", *command.split()], check=True, stdout=subprocess.DEVNULL
        )
        with sqlite3.connect(db) as connection:
            query = "SELECT step, wall_time FROM episode WHERE step >= ? ORDER BY step"
            clock = connection.execute(query, (WARM_UP,)).fetchall()
        connection.close()
    return float((clock[-1][0] - clock[0][0]) / (clock[-1][1] - clock[0][1]))


def theirs(steps: int) -> float:
    """The same of stable-baselines3."""
    command = [sys.executable, "-c", PEER, str(WARM_UP), str(steps)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.splitlines()[-1])


def main() -> None:
    """Runs the pairs and prints each, then the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000, help=f"timed steps, a multiple of {EPISODE}")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"{'':8}{'dapo':>10}{'sb3':>10}{'ratio':>8}   (environment steps per second)")
    ratios = []
    for number in range(options.rounds):
        a, b = ours(options.steps), theirs(options.steps)
        ratios.append(a / b)
        print(f"pair {number + 1:<3}{a:10.1f}{b:10.1f}{a / b:8.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (smallest {min(ratios):.2f}, largest {max(ratios):.2f})")


if __name__ == "__main__":
    main()
