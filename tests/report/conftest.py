"""A database with enough runs for every part of a report."""

from __future__ import annotations

import random

import pytest

from dapo_cli.analysis.comparison.request import Request


@pytest.fixture
def comparison(results, record_run):
    """Two algorithms on two environments with six seeds, and one run each that failed and that diverged."""
    generator = random.Random(0)
    shared = {"gamma": 0.99, "beta": None, "eval_episodes": 2}
    for env, height in (("Hopper-v4", 1000.0), ("Ant-v4", 3000.0)):
        for algo, factor in (("sac", 1.0), ("dapo-kl", 1.5)):
            for seed in range(6):
                final = [height * factor + generator.gauss(0, 100) for _ in range(2)]
                record_run(
                    algo,
                    env,
                    seed=seed,
                    final=final,
                    settings={**shared, "beta": 0.5 if algo == "dapo-kl" else None},
                    command=f"dapo train --algo {algo} --env {env} --seed {seed}",
                    versions={"torch": "2.13.0"},
                    commit="abcdef0123456789",
                )
    record_run("sac", "Ant-v4", seed=6, final=None, status="failed", reason="no space left on device")
    record_run("sac", "Ant-v4", seed=7, final=[5.0], status="diverged", reason="critic_loss is nan", settings=shared)
    return results


@pytest.fixture
def request_of_all():
    """What `dapo report` asks for without options."""
    return Request()
