"""Makes `dapo_cli/references/random.toml` again: what the uniformly random policy returns, to normalise scores by.

    python benchmarks/random_policy.py [--env Hopper-v4 …] [--out FILE]

About six minutes on one core. Each environment is played for 1000 episodes, or, where these are long, for 200 000 steps
and at least 200 episodes. Actions are uniform over the action space, returns undiscounted. The same versions on the
same type of machine give the same file. An environment that cannot be made here is named and left out.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import gymnasium

from dapo_cli.errors import BadInput
from dapo_cli.files import write_files
from dapo_cli.options.completion import MUJOCO
from dapo_cli.training.environments import gym_environment

TARGET = Path(__file__).resolve().parents[1] / "dapo_cli" / "references" / "random.toml"
ENVIRONMENTS = [
    *(f"{name}-{suffix}" for name in MUJOCO for suffix in ("v4", "v5")),
    "Pendulum-v1",
    "MountainCarContinuous-v0",
    "Acrobot-v1",
    "CartPole-v1",
    "MountainCar-v0",
    "Blackjack-v1",
    "FrozenLake-v1",
    "FrozenLake8x8-v1",
    "Taxi-v4",
]
EPISODES, FEWEST, STEPS = 1000, 200, 200_000
HEAD = """\
# Mean undiscounted return of the uniformly random policy, its standard error, and the number of episodes.
# Made by: python benchmarks/random_policy.py
"""


def play(env_id: str) -> list[float]:
    """The returns of random episodes. Episode n begins from seed n; the actions come from one generator of seed 0."""
    environment = gym_environment.make(env_id)
    environment.action_space.seed(0)
    returns: list[float] = []
    steps = 0
    while len(returns) < EPISODES and not (len(returns) >= FEWEST and steps >= STEPS):
        environment.reset(seed=len(returns))
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
            total += float(reward)
            over = terminated or truncated
            steps += 1
        returns.append(total)
    environment.close()
    return returns


def entry(env_id: str, returns: list[float]) -> str:
    """The table of the file for one environment."""
    error = statistics.stdev(returns) / math.sqrt(len(returns))
    packages = ["gymnasium", "mujoco"] if "mujoco" in str(gymnasium.spec(env_id).entry_point) else ["gymnasium"]
    lines = [
        f"[{env_id}]",
        f"mean = {float(f'{statistics.fmean(returns):.6g}')}",
        f"standard_error = {float(f'{error:.3g}')}",
        f"episodes = {len(returns)}",
        *(f'{package} = "{version(package)}"' for package in packages),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Plays, and writes the file whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", nargs="+", default=ENVIRONMENTS)
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    tables = []
    for env_id in options.env:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old versions, and of what random actions do to the physics
                tables.append(entry(env_id, play(env_id)))
        except BadInput as error:
            print(f"left out: {error}", file=sys.stderr)
        else:
            print(tables[-1], flush=True)
    write_files({options.out: (HEAD + "\n" + "\n".join(tables)).encode()})


if __name__ == "__main__":
    main()
