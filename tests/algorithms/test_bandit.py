"""Every algorithm with replay finds the optimum of a bandit that its policy class contains: loss and steps are right.

Before a failure to learn is blamed on a method, this must hold (no critics, no bootstrapping, no exploration).
"""

from __future__ import annotations

import bandit
import pytest
from variants import learns_from_replay

import algorithms
from algorithms.learner.off_policy import OffPolicyLearner as Learner

# Per algorithm its updates, and choices. A dual network needs more of both: MAMPO's with m = 10 diverges here, because
# each fit's error is a part of the range of log π^k, which the next policy's narrowness multiplies.
VARIANTS: dict[str, tuple[int, list[dict[str, object]]]] = {
    "sac": (1000, [{}]),
    "dapo-kl": (1000, [{"beta": 0.5, "m": 10}, {"beta": 0.1, "m": 10}]),
    "dapo-l2": (1000, [{"m": 1}, {"m": 10}, {"m": 10, "phi": "entropy"}]),
    "ampo": (3000, [{"m": 10}, {"m": 10, "interleaved": True}]),
    "mampo": (6000, [{"m": 200, "reading": "network"}]),
    "mdpo": (2000, [{"m": 100}]),
    "dapo-kl-star": (2000, [{"m": 10}]),
    "dapo-tsallis": (1000, [{"m": 1}, {"m": 10, "q": 1.2}]),
}
CHOICES = [(name, updates, choice) for name, (updates, choices) in VARIANTS.items() for choice in choices]
CHOICES += [("mampo", 1000, {"m": 10, "reading": "policy", "samples": 8})]


def test_every_algorithm_is_here() -> None:
    assert set(filter(learns_from_replay, algorithms.names())) == set(VARIANTS)


@pytest.mark.parametrize(("name", "updates", "choice"), CHOICES, ids=str)
def test_the_optimum_is_found(name: str, updates: int, choice: dict[str, object]) -> None:
    assert distance_after(name, 0, choice) > 0.5
    assert distance_after(name, updates, choice) < 0.05


def test_mampos_network_needs_nearly_exact_fits_at_replayed_actions() -> None:
    """With m = 10, its default, the dual network's errors feed on themselves: docs/algorithms.md says so."""
    assert not distance_after("mampo", 3000, {"m": 10, "reading": "network", "fitted_at": "mixed"}) < 1


def distance_after(name: str, updates: int, choice: dict[str, object]) -> float:
    algorithm = algorithms.load(name)
    settings = {"hidden_sizes": (64, 64), "batch_size": 128, "learning_rate": 1e-3, "learning_starts": 0}
    counts = {"critic_updates_per_step": 0, "temperature": bandit.TAU, "buffer_size": 512}
    config = algorithm.Config(**settings, **counts, **choice)
    q = {"dapo-l2": 1.0 if "phi" in choice else 2.0, "dapo-tsallis": getattr(config, "q", 1.0)}.get(name, 1.0)
    learner = bandit.play(Learner(algorithm, config, bandit.SPACES, 0), q)
    for _ in range(updates):
        learner.update()
    return bandit.distance(learner)
