"""The values that pass between the training loop and an algorithm, and what a policy must offer.

Shapes, here and in every algorithm: B batch, S observation, A coordinates of an action, n choices of each
(finite actions only), N critics, K noise samples, P parameters.
A leading seed axis may be added by `torch.func.vmap`; no function of an algorithm may assume that there is none.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Spaces(NamedTuple):
    """Sizes of what an environment gives and takes.

    Continuous actions are normalised: each coordinate fills [-1, 1]. With `choices` n > 0 each coordinate of an action
    is one of the whole numbers 0 … n - 1.
    """

    observation: int
    action: int
    choices: int = 0

    @property
    def kind(self) -> str:
        """Of the actions: "continuous" or "finite"."""
        return "finite" if self.choices else "continuous"


class Batch(NamedTuple):
    """Transitions. `bootstrap` is 0 where the episode terminated and 1 elsewhere, truncation included."""

    observation: Tensor  # (B, S)
    action: Tensor  # (B, A)
    reward: Tensor  # (B,)
    next_observation: Tensor  # (B, S)
    bootstrap: Tensor  # (B,)

    @staticmethod
    def widths(spaces: Spaces) -> list[int]:
        """Numbers of each part in one packed transition."""
        return [spaces.observation, spaces.action, 1, spaces.observation, 1]

    @classmethod
    def unpack(cls, rows: Tensor, spaces: Spaces) -> Batch:
        """Views into packed rows (B, sum of the widths)."""
        s, a, r, s2, c = torch.split(rows, cls.widths(spaces), dim=-1)
        return cls(s, a, r.squeeze(-1), s2, c.squeeze(-1))


Metrics = dict[str, Tensor]
Distribution = Any  # a policy's own NamedTuple of tensors: π(·|s) for each of B states
Draw = Any  # a policy's own NamedTuple: actions at each state, with `log_prob`
State = Any  # an algorithm's own NamedTuple, nested, of tensors only


class Exploring(NamedTuple):
    """What `Extras.explore` is given at one step: the policy's actions, and fresh random numbers.

    Every array is (A,). The generator behind them is the run's, and checkpoints save it.
    """

    best: NDArray[np.float32]  # the policy's mean action, or its likeliest
    drawn: NDArray[np.float32]  # an action drawn from the policy
    random: NDArray[np.float32]  # a uniformly random action
    normal: NDArray[np.float64]  # standard normal noise
    uniform: float  # in [0, 1)
    memory: NDArray[np.float64]  # what `explore` returned at the step before; zeros where an episode begins
    step: int  # transitions stored so far


class Policy(Protocol):
    """What a policy must offer: the one interface through which algorithms see the kind of an action.

    A draw is an action at each of B states, or K of them; `values` are numbers of a draw, as the critics give them.
    Continuous actions are sampled, and a mean is over K samples; finite actions are all there with their
    probabilities, and a mean is an exact sum, over the coordinates of the action, too.
    """

    @property
    def network(self) -> Any:
        """The network, whose parameters are an actor."""

    def distribution(self, parameters: Tensor, observation: Tensor) -> Distribution:
        """π(·|s) for observations (B, S)."""

    def draw(self, pi: Distribution, noise: Tensor) -> Draw:
        """Reparameterised actions from standard normal noise (B, A) or (K, B, A)."""

    def behaviour(self, pi: Distribution, action: Tensor, noise: Tensor) -> Draw:
        """Actions half of which are those of the batch (B, A), and half drawn from π."""

    def log_prob_of(self, pi: Distribution, draw: Draw) -> Tensor:
        """log π of the actions of a draw from any policy."""

    def log_prob_at(self, pi: Distribution, action: Tensor) -> Tensor:
        """log π(a|s) of actions (B, A) that were taken, (B,)."""

    def widened(self, parameters: Tensor, std: float) -> Tensor:
        """The same parameters, fresh from `init`, for a policy that explores with standard deviation about `std`."""

    def expectation(self, draw: Draw, values: Tensor) -> Tensor:
        """E_{a~π} of the values of one action a state, (B,); a single sample is its own mean."""

    def mean(self, draws: Draw, values: Tensor) -> Tensor:
        """E_{a~π} over the K draws, (B,)."""

    def variance(self, draws: Draw, values: Tensor) -> Tensor:
        """Var_{a~π} over the K draws, (B,)."""

    def log_mean_exp(self, draws: Draw, values: Tensor) -> Tensor:
        """log E_{a~π} exp(values) over the K draws, (B,)."""

    def tilted_mean(self, draws: Draw, log_weights: Tensor, values: Tensor) -> Tensor:
        """The mean of values under π exp(log_weights), normalised over the K draws, (B,)."""

    def kl(self, p: Distribution, q: Distribution) -> Tensor:
        """KL(p ‖ q), (B,)."""

    def explore(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """A uniformly random action (A,)."""

    def act(
        self, weights: dict[str, NDArray[Any]], observation: NDArray[Any], generator: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """The action (A,) for one observation (S,), drawn by the generator; without one the policy's own best guess."""
