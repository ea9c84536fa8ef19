"""The episode on which the critics are measured, as it reaches the learner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from short_runs import only_run, rows, train

from algorithms.core.types import Batch
from dapo_cli.training.overestimation import overestimation


class Counting:
    """Three steps: observation t, reward 10 t, and an end of the given kind."""

    def __init__(self, terminates: bool) -> None:
        self.terminates, self.step_number = terminates, 0

    def reset(self, *episode: int) -> Any:
        self.episode = episode
        return np.array([0.0])

    def step(self, _action: Any) -> tuple[Any, float, bool, bool]:
        self.step_number += 1
        last = self.step_number == 3
        return (
            np.array([float(self.step_number)]),
            10.0 * self.step_number,
            last and self.terminates,
            last and not self.terminates,
        )


class Recording:
    """A learner whose actions are what the generator draws."""

    batch: Batch

    def policy_action(self, _observation: Any, generator: np.random.Generator) -> Any:
        return generator.random(1)

    def overestimation(self, batch: Batch) -> dict[str, float]:
        self.batch = batch
        return {"q_overestimation": 1.0}


@pytest.mark.parametrize("terminates", [True, False])
def test_the_episode_is_handed_over_in_order(terminates: bool) -> None:
    environment, learner = Counting(terminates), Recording()
    measured = overestimation(learner, environment, np.random.default_rng(3), 500, 10)  # type: ignore[arg-type]
    assert measured == {"q_overestimation": 1.0}
    assert environment.episode == (500, 10)
    batch = learner.batch
    assert batch.observation.tolist() == [[0.0], [1.0], [2.0]]
    assert batch.next_observation.tolist() == [[1.0], [2.0], [3.0]]
    assert batch.reward.tolist() == [10.0, 20.0, 30.0]
    assert batch.bootstrap.tolist() == [1.0, 1.0, 0.0 if terminates else 1.0]
    torch.testing.assert_close(batch.action[:, 0], torch.from_numpy(np.random.default_rng(3).random(3)).float())


def test_every_evaluation_of_a_learning_policy_is_measured(tmp_path: Any) -> None:
    """At steps 400, 800 and 900 here; and a run is the same however often it is evaluated."""
    seldom, often = str(tmp_path / "seldom.db"), str(tmp_path / "often.db")
    train(seldom, eval_every=0)
    train(often, eval_every=100)
    query = "SELECT step FROM metric WHERE name = 'q_overestimation' AND run_id = ? ORDER BY step"
    assert [step for (step,) in rows(seldom, query, only_run(seldom))] == [900]
    assert [step for (step,) in rows(often, query, only_run(often))] == list(range(200, 1000, 100))
    episodes = 'SELECT step, "return" FROM episode'
    assert rows(seldom, episodes) == rows(often, episodes)
