"""What a checkpoint costs while a run grows to a million transitions: training waits this long for each.

The replay fills as in training, with one checkpoint for every 10 000 transitions; no gradient step is taken, as the
size of the state does not depend on them. "Proportional to what is new": the first and the last take the same.

    python benchmarks/checkpoint.py [--algo sac] [--env HalfCheetah-v4] [--transitions 1e6] [--every 10000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from algorithms import learner_of
from dapo_cli import config
from dapo_cli.training.checkpoint import Checkpoints
from dapo_cli.training.envs import TRAINING, Environment
from store import runs
from store.session import Database


def main() -> None:
    """Fills a replay and times every checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", default="sac")
    parser.add_argument("--env", default="HalfCheetah-v4")
    parser.add_argument("--transitions", type=float, default=1e6)
    parser.add_argument("--every", type=int, default=10_000)
    options = parser.parse_args()
    total, every = int(options.transitions), options.every
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        settings = {"algo": options.algo, "env": options.env, "steps": total}
        resolved = config.resolve(settings, [f"buffer_size={total}"], directory=Path(folder))
        environment = Environment(options.env, 0, TRAINING)
        resolved = resolved.resolved(environment.spaces)
        learner = learner_of(resolved.algorithm)(resolved.algorithm, resolved.hyperparameters, environment.spaces, 0)
        rows = torch.randn(every, learner.replay.read(0, 1).shape[1])
        took, sizes = [], []
        with Database.write(str(Path(folder) / "runs.db")) as db:
            run = {"algo": options.algo, "env": options.env, "seed": 0, "steps": total}
            run_id = runs.create(db, run=run)
            checkpoints = Checkpoints(db, run_id)
            for start in range(0, total, every):
                learner.replay.write(start, rows)
                learner.replay.total = start + every
                began = time.perf_counter()
                checkpoints.save(start + every, learner, {}, {}, {})
                took.append(time.perf_counter() - began)
                sizes.append(runs.checkpoints(db, run_id)[0]["bytes"])
    for name, part in (("first ten", slice(0, 10)), ("last ten", slice(-10, None)), ("all", slice(None))):
        seconds = sorted(took[part])
        print(
            f"{name:10}{len(seconds):5} checkpoints: median {statistics.median(seconds):.3f} s, "
            f"longest {seconds[-1]:.3f} s, {statistics.mean(sizes[part]) / 1e6:.1f} MB each"
        )


if __name__ == "__main__":
    main()
