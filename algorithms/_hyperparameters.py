"""Hyperparameters: declared once, with default, range, symbol and meaning; validated before anything runs."""

from __future__ import annotations

import collections
import math
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from algorithms._mirror_maps import MirrorMap, NegativeEntropy
from algorithms._types import Spaces

Positive = Annotated[float, Field(gt=0)]


def hyperparameter(default: Any, meaning: str, symbol: str | None = None, **limits: Any) -> Any:
    """A pydantic field with what `dapo algos NAME` prints: its meaning and, where the papers have one, its symbol."""
    return Field(default, description=meaning, json_schema_extra={"symbol": symbol}, **limits)


class Hyperparameters(BaseModel):
    """What every actor-critic of the family has. An algorithm's `Config` adds its own; unknown names are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gamma: float = hyperparameter(0.99, "discount per environment step", "γ", ge=0, lt=1)
    learning_rate: float = hyperparameter(3e-4, "Adam step size", gt=0)
    critic_learning_rate: Positive | Literal["same"] = hyperparameter(
        "same", "Adam step size of the critics; same: learning_rate"
    )
    batch_size: int = hyperparameter(256, "transitions per gradient step", "B", ge=1)
    buffer_size: int = hyperparameter(1_000_000, "transitions kept for replay; the oldest go first", ge=1)
    learning_starts: int = hyperparameter(5000, "steps of uniformly random actions before the first update", ge=0)
    polyak: float = hyperparameter(0.005, "weight of the critics in each update of their targets", gt=0, le=1)
    temperature: Positive | Literal["auto"] = hyperparameter(
        "auto", "weight of the regulariser; auto: tuned so that the policy's entropy meets target_entropy", "τ"
    )
    initial_temperature: float = hyperparameter(0.2, "where an automatic temperature begins", "τ₀", gt=0)
    target_entropy: float | Literal["auto"] = hyperparameter(
        "auto",
        "entropy in nats that an automatic temperature aims at; auto: minus the dimensions of the action, or half of "
        "the largest entropy of finite actions",
        "H̄",
    )
    bins: Literal[0] | Annotated[int, Field(ge=2, le=1001)] = hyperparameter(
        0, "choices into which each coordinate of a continuous action is cut; 0: none, the action stays continuous", "n"
    )
    critic_updates_per_step: int = hyperparameter(1, "gradient steps on the critics per environment step", ge=0)
    actor_updates_per_step: int = hyperparameter(
        1, "gradient steps on the policy, or on a dual network, per environment step", ge=0
    )
    hidden_sizes: tuple[Annotated[int, Field(ge=1)], ...] = hyperparameter(
        (256, 256), "units per hidden layer, of every network", min_length=1
    )
    activation: Literal["relu", "tanh", "silu", "gelu", "elu"] = hyperparameter("relu", "nonlinearity between layers")
    layer_norm: bool = hyperparameter(False, "layer normalisation before each nonlinearity")
    critics: int = hyperparameter(2, "number of critics", "N", ge=1, le=100)
    critic_reduction: Literal["min", "mean"] = hyperparameter("min", "how the critics' values become one")

    def resolved(self, spaces: Spaces) -> Hyperparameters:
        """The same with every word that stands for a number known by now replaced by that number.

        Raises ValueError, of one line that names the remedy, where an algorithm cannot do what these spaces need.
        """
        numbers: dict[str, float] = {}
        if self.target_entropy == "auto":
            largest = spaces.action * math.log(spaces.choices) if spaces.choices else 0.0
            numbers["target_entropy"] = 0.5 * largest if spaces.choices else -float(spaces.action)
        if self.critic_learning_rate == "same":
            numbers["critic_learning_rate"] = self.learning_rate
        return self.model_copy(update=numbers)

    def mirror_map(self) -> MirrorMap:
        """Φ of a policy over finite actions."""
        return NegativeEntropy()


def coefficients(config: Hyperparameters, device: torch.device | str = "cpu") -> Any:
    """Every real-valued hyperparameter as a 0-dim tensor, by name.

    Tensors, because a compiled update specialises on Python numbers: five values of β would make five graphs.
    """
    values = {name: value for name, value in config if isinstance(value, float)}
    tensors: dict[str, Tensor] = {name: torch.tensor(value, device=device) for name, value in values.items()}
    return collections.namedtuple("Coefficients", tensors)(**tensors)
