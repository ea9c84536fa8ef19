"""Hyperparameters: declared once, with default, range, symbol and meaning; validated before anything runs."""

from __future__ import annotations

import collections
import math
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from algorithms.core.mirror_maps import MirrorMap, NegativeEntropy
from algorithms.core.types import Spaces

Positive = Annotated[float, Field(gt=0)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


def hyperparameter(default: Any, meaning: str, symbol: str | None = None, **limits: Any) -> Any:
    """A pydantic field with what `dapo algos NAME` prints: its meaning and, where the papers have one, its symbol."""
    return Field(default, description=meaning, json_schema_extra={"symbol": symbol}, **limits)


class SharedHyperparameters(BaseModel):
    """What every algorithm has, wherever its transitions come from. Unknown names are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gamma: float = hyperparameter(0.99, "discount per environment step", "γ", ge=0, lt=1)
    learning_rate: Positive | Literal["auto"] = hyperparameter(
        "auto", "Adam step size; auto: 3e-4, or 1e-3 in a discrete environment"
    )
    critic_learning_rate: Positive | Literal["same"] = hyperparameter(
        "same", "Adam step size of the critics; same: learning_rate"
    )
    bins: Literal[0] | Annotated[int, Field(ge=2, le=1001)] = hyperparameter(
        0, "choices into which each coordinate of a continuous action is cut; 0: none, the action stays continuous", "n"
    )
    hidden_sizes: Sizes | Literal["auto"] = hyperparameter(
        "auto", "units per hidden layer, of every network; auto: 256, 256, or 64, 64 in a discrete environment"
    )
    activation: Literal["relu", "tanh", "silu", "gelu", "elu"] = hyperparameter("relu", "nonlinearity between layers")
    layer_norm: bool = hyperparameter(False, "layer normalisation before each nonlinearity")

    def resolved(self, spaces: Spaces) -> SharedHyperparameters:  # noqa: ARG002
        """The same with every word that stands for a number known by now replaced by that number.

        Raises ValueError, of one line that names the remedy, where an algorithm cannot do what these spaces need.
        """
        return self.model_copy(update=self._numbers())

    def _numbers(self) -> dict[str, Any]:
        rates = (name for name in type(self).model_fields if name.endswith("_learning_rate"))
        return {name: self.learning_rate for name in rates if getattr(self, name) == "same"}

    def gradient_steps(self, steps: int) -> int:
        """Updates in so many environment steps."""
        raise NotImplementedError

    def mirror_map(self) -> MirrorMap:
        """Φ of a policy over finite actions."""
        return NegativeEntropy()


# What `auto` stands for: of continuous actions, also where bins cut them; and of a discrete environment's.
AUTO: dict[str, tuple[Any, Any]] = {
    "learning_rate": (3e-4, 1e-3),
    "hidden_sizes": ((256, 256), (64, 64)),
    "learning_starts": (5000, 1000),
    "polyak": (0.005, 0.05),
}


class Hyperparameters(SharedHyperparameters):
    """What every actor-critic with replay has. An algorithm's `Config` adds its own."""

    batch_size: int = hyperparameter(256, "transitions per gradient step", "B", ge=1)
    buffer_size: int = hyperparameter(1_000_000, "transitions kept for replay; the oldest go first", ge=1)
    learning_starts: Annotated[int, Field(ge=0)] | Literal["auto"] = hyperparameter(
        "auto",
        "steps of uniformly random actions before the first update; auto: 5000, or 1000 in a discrete environment",
    )
    polyak: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = hyperparameter(
        "auto",
        "weight of the critics in each update of their targets; auto: 0.005, or 0.05 in a discrete environment",
    )
    temperature: Positive | Literal["auto"] = hyperparameter(
        "auto", "weight of the regulariser; auto: tuned so that the policy's entropy meets target_entropy", "τ"
    )
    initial_temperature: float = hyperparameter(0.2, "where an automatic temperature begins", "τ₀", gt=0)
    temperature_learning_rate: Positive | Literal["same"] = hyperparameter(
        "same", "Adam step size of an automatic temperature's logarithm; same: learning_rate"
    )
    target_entropy: float | Literal["auto"] = hyperparameter(
        "auto",
        "entropy in nats that an automatic temperature aims at; auto: minus the dimensions of the action, or half of "
        "the largest entropy of finite actions",
        "H̄",
    )
    critic_updates_per_step: int = hyperparameter(1, "gradient steps on the critics per environment step", ge=0)
    actor_updates_per_step: int = hyperparameter(
        1, "gradient steps on the policy, or on a dual network, per environment step", ge=0
    )
    critics: int = hyperparameter(2, "number of critics", "N", ge=1, le=100)
    critic_reduction: Literal["auto", "min", "mean", "joint-min"] = hyperparameter(
        "auto",
        "how the critics' values become one: min, of finite actions choice by choice; mean; joint-min, of finite "
        "actions per state all values of the critic that is least under the policy; auto: mean in a discrete "
        "environment, joint-min for bins, else min",
    )

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """As above; what is automatic depends on the kind of the actions."""
        discrete = self.discrete(spaces)
        chosen = {name: values[discrete] for name, values in AUTO.items() if getattr(self, name) == "auto"}
        if self.critic_reduction == "auto":
            chosen["critic_reduction"] = "mean" if discrete else "joint-min" if spaces.choices else "min"
        elif self.critic_reduction == "joint-min" and not spaces.choices:
            raise ValueError("critic_reduction = joint-min is for finite actions: take min, or set bins")
        known = self.model_copy(update=chosen)
        numbers = known._numbers()
        if self.target_entropy == "auto":
            largest = spaces.action * math.log(spaces.choices) if spaces.choices else 0.0
            numbers["target_entropy"] = 0.5 * largest if spaces.choices else -float(spaces.action)
        return known.model_copy(update=numbers)

    def discrete(self, spaces: Spaces) -> bool:
        """Whether the environment itself has finite actions: bins cut continuous ones."""
        return bool(spaces.choices) and not self.bins

    def gradient_steps(self, steps: int) -> int:
        """Those of the critics or of the actor, whichever are more; before `resolved`, as for continuous actions."""
        starts = AUTO["learning_starts"][0] if self.learning_starts == "auto" else self.learning_starts
        return max(0, steps - starts) * max(self.critic_updates_per_step, self.actor_updates_per_step)


class OnPolicyHyperparameters(SharedHyperparameters):
    """What every actor-critic with rollouts has. An algorithm's `Config` adds its own."""

    learning_rate: Positive = hyperparameter(3e-4, "Adam step size")
    hidden_sizes: Sizes = hyperparameter((64, 64), "units per hidden layer, of every network")
    activation: Literal["relu", "tanh", "silu", "gelu", "elu"] = hyperparameter("tanh", "nonlinearity between layers")
    initialisation: Literal["orthogonal", "uniform"] = hyperparameter(
        "orthogonal",
        "first weights: orthogonal, with a last layer so small that the first policy is the same in every "
        "state; or uniform in ±1/√fan_in",
    )
    normalise_observation: bool = hyperparameter(
        True, "the networks see observations shifted and scaled by the mean and standard deviation of all so far"
    )
    normalise_reward: bool = hyperparameter(
        True, "the critic learns rewards divided by the standard deviation of the discounted returns so far"
    )
    learning_rate_steps: int = hyperparameter(
        0, "environment steps over which the learning rates fall linearly towards 0; 0: they are constant", ge=0
    )
    rollout_steps: int = hyperparameter(2048, "transitions of a rollout, all of one policy", "T", ge=2)
    epochs: int = hyperparameter(10, "passes over a rollout, in minibatches, before it is forgotten", "K", ge=1)
    batch_size: int = hyperparameter(64, "transitions per gradient step; it divides rollout_steps", "B", ge=1)
    gae_lambda: float = hyperparameter(0.95, "decay of the advantage estimator's trace", "λ", ge=0, le=1)
    normalise_advantage: bool = hyperparameter(
        True, "advantages of a rollout shifted and scaled to mean 0 and standard deviation 1"
    )
    max_gradient_norm: float = hyperparameter(
        0.5, "norm to which a larger gradient is scaled down, of the policy and of the critic each", gt=0
    )
    initial_std: float = hyperparameter(
        0.5, "standard deviation of the first policy's continuous actions, before tanh", "σ₀", ge=0.01, le=7
    )

    def resolved(self, spaces: Spaces) -> OnPolicyHyperparameters:  # noqa: ARG002
        """As above; minibatches must cover a rollout."""
        if self.rollout_steps % self.batch_size:
            raise ValueError(
                f"batch_size = {self.batch_size} does not divide rollout_steps = {self.rollout_steps}: change one"
            )
        return self.model_copy(update=self._numbers())

    def gradient_steps(self, steps: int) -> int:
        """All minibatches of all whole rollouts."""
        return steps // self.rollout_steps * self.epochs * (self.rollout_steps // self.batch_size)


def coefficients(config: SharedHyperparameters, device: torch.device | str = "cpu") -> Any:
    """Every real-valued hyperparameter as a 0-dim tensor, by name.

    Tensors, because a compiled update specialises on Python numbers: five values of β would make five graphs.
    """
    values = {name: value for name, value in config if isinstance(value, float)}
    tensors: dict[str, Tensor] = {name: torch.tensor(value, device=device) for name, value in values.items()}
    return collections.namedtuple("Coefficients", tensors)(**tensors)
