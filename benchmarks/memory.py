"""The resident size of a training while its replay fills with a million transitions of Humanoid-v4.

Transitions of random numbers go in through the learner's own `add`, with a checkpoint every 10 000 as in training; no
update is taken but a few at the beginning, compiled, so that the compiler is resident, too. Needs 4 GB of memory, 4 GB
of disk in the current folder, and two minutes.

    python benchmarks/memory.py [--env Humanoid-v4] [--transitions 1e6] [--quick] [--write]
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from _report import parser, publish, table

from algorithms import learner_of
from dapo_cli.configuration import run_configuration
from dapo_cli.training.checkpoint import Checkpoints
from dapo_cli.training.environments.gym_environment import TRAINING, Environment
from store.records import runs
from store.session import Database

EVERY, UPDATES = 10_000, 20
GOAL = 4e9  # bytes


def resident() -> float:
    """Bytes of this process that are in memory now."""
    return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Fills a replay and prints how the process grows, and what checkpoints take meanwhile."""
    options_of = parser(__doc__)
    options_of.add_argument("--algo", default="sac")
    options_of.add_argument("--env", default="Humanoid-v4")
    options_of.add_argument("--transitions", type=float, default=1e6)
    options = options_of.parse_args()
    total = 20_000 if options.quick else int(options.transitions)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        settings = {"algo": options.algo, "env": options.env, "steps": total}
        resolved = run_configuration.resolve(settings, ["learning_starts=256"], directory=Path(folder))
        environment = Environment(options.env, 0, TRAINING)
        spaces = environment.spaces
        resolved = resolved.resolved(spaces)
        learner = learner_of(resolved.algorithm)(
            resolved.algorithm, resolved.hyperparameters, spaces, 0, compiled=not options.quick
        )
        numbers = np.random.default_rng(0)
        rows, took = [("start", None, resident() / 1e6)], []
        shown = {EVERY, *(total * tenths // 10 for tenths in (1, 5, 10))}
        with Database.write(str(Path(folder) / "runs.db")) as db:
            run_id = runs.create(db, run={"algo": options.algo, "env": options.env, "seed": 0, "steps": total})
            checkpoints = Checkpoints(db, run_id)
            observation = numbers.normal(size=(1000, spaces.observation))
            action = numbers.uniform(-1, 1, (1000, spaces.action))
            for step in range(1, total + 1):
                i = step % 1000
                learner.add(observation[i], action[i], 1.0, observation[i - 1], False, False)
                if learner.updating and step < 256 + UPDATES:
                    learner.update()
                if step % EVERY == 0:
                    began = time.perf_counter()
                    checkpoints.save(step, learner, {}, {}, {})
                    took.append(time.perf_counter() - began)
                    if step in shown:
                        rows.append((f"{step:,} transitions".replace(",", " "), took[-1], resident() / 1e6))
        environment.close()
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    filled = total * learner.replay.rows.shape[1] * 4
    first, last = statistics.median(took[:10]), statistics.median(took[-10:])
    headers = (f"{options.algo} on {options.env}", "this checkpoint, s", "resident, MB")
    remark = (
        f"Largest ever: {largest / 1e6:.0f} MB (goal: below {GOAL / 1e6:.0f}), of which the replay's rows are "
        f"{filled / 1e6:.0f}. A checkpoint takes {first:.3f} s in the median of the first ten, {last:.3f} s in that of "
        "the last ten."
    )
    publish("memory", f"{table(headers, rows)}\n\n{remark}", options)


if __name__ == "__main__":
    main()
