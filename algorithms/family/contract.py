"""What a module must offer to be an algorithm: the functions of one that learns from replay, or from rollouts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.hyperparameters import Hyperparameters, OnPolicyHyperparameters
from algorithms.core.rollout import Minibatch
from algorithms.core.types import Batch, Distribution, Draw, Exploring, Metrics, State
from algorithms.family.actor_critic import ActorCritic
from algorithms.family.actor_value import ActorValue

Step = Callable[[ActorCritic, State, Batch, Tensor, Any], tuple[State, Metrics]]


class Algorithm(Protocol):
    """What a module that learns from replay must offer. Every function is pure: it changes none of its arguments.

    The names that every state must have are those of `ActorCritic.init`; the first line of the module's docstring is
    its description in `dapo algos`.
    """

    __doc__: str | None
    Config: ClassVar[type[Hyperparameters]]
    PHASES: ClassVar[dict[str, Step]]  # one gradient step on the actor's side each; most algorithms have one

    @staticmethod
    def init(model: ActorCritic, generator: torch.Generator) -> State:
        """The first state."""

    @staticmethod
    def critic_step(model: ActorCritic, state: State, batch: Batch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
        """One gradient step on the critics."""

    @staticmethod
    def noise_samples(config: Any) -> int:
        """K: the standard normal samples (B, A) that one update takes; each step function gets all, (K, B, A)."""

    @staticmethod
    def schedule(config: Any) -> tuple[tuple[str, int], ...]:
        """One policy iteration: the phases in order, each with its number of gradient steps."""

    @staticmethod
    def refresh(state: State) -> State:
        """Ends a policy iteration: freezes the current policy (and dual network) as the old one."""

    @staticmethod
    def regulariser(model: ActorCritic, pi: Distribution, draw: Draw) -> Tensor:
        """Φ(π_s), (B,): what the critics' targets hold, with weight -τ, beside the reward."""

    @staticmethod
    def diagnose(model: ActorCritic, state: State, old_actor: Tensor, s: Tensor, noise: Tensor, c: Any) -> Metrics:
        """Diagnostics too costly for every update, measured now and then at the end of a policy iteration.

        `old_actor` is π^k, or the policy before the last update where none is frozen; s (B, S), noise (K, B, A).
        """


class OnPolicyAlgorithm(Protocol):
    """What a module that learns from rollouts must offer, pure as above. Its Config tells the two kinds apart."""

    __doc__: str | None
    Config: ClassVar[type[OnPolicyHyperparameters]]

    @staticmethod
    def init(model: ActorValue, generator: torch.Generator) -> State:
        """The first state; it has the fields of `actor_value.State`."""

    @staticmethod
    def critic_step(model: ActorValue, state: State, batch: Minibatch, c: Any) -> tuple[State, Metrics]:
        """One gradient step on the state-value critic."""

    @staticmethod
    def policy_step(model: ActorValue, state: State, batch: Minibatch, noise: Tensor, c: Any) -> tuple[State, Metrics]:
        """One gradient step on the policy; noise (B, A) is standard normal."""

    @staticmethod
    def refresh(state: State) -> State:
        """Ends a policy iteration, all epochs over one rollout: the current policy becomes π^k."""


class Extras(Protocol):
    """What an algorithm's module may offer besides; each has a default."""

    ACTIONS: ClassVar[Collection[str]]
    """The kinds of actions that it handles, of "continuous" and "finite"; default: both."""

    @staticmethod
    def explore(seen: Exploring, config: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """The action (A,) to play in training once updates have begun, and the memory (A,) for the next step; pure.

        Default: `seen.drawn`. Only for algorithms with replay; evaluations play `best` whatever this says. Continuous
        actions are clipped to [-1, 1].
        """
