"""What the loop trains: an algorithm's pure functions, the state they act on, stored transitions, random numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.hyperparameters import (
    OnPolicyHyperparameters,
    SharedHyperparameters,
    coefficients,
)
from algorithms.core.types import Batch, Policy, Spaces
from algorithms.family.actor_critic import ActorCritic
from algorithms.family.actor_value import ActorValue
from algorithms.learner.compiling import (
    Recorded,
    Step,
    half_products,
    whole_graph,
    without_denormals,
)
from algorithms.learner.replay import Replay

INIT, ACT, UPDATE, DIAGNOSE = range(4)  # streams of random numbers, each its own generator derived from the run's seed


def named_leaves(state: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a nested NamedTuple, with its dotted name."""
    for name, value in zip(state._fields, state, strict=True):
        if isinstance(value, Tensor):
            yield prefix + name, value
        else:
            yield from named_leaves(value, f"{prefix}{name}.")


def overwrite(state: Any, new: Any) -> None:
    """Copies every tensor of `new` into the buffers of `state`, which so keep their addresses."""
    for (_, buffer), (_, value) in zip(named_leaves(state), named_leaves(new), strict=True):
        if buffer is not value:
            buffer.copy_(value)


def seed_of(*stream: int) -> int:
    """The seed of a generator for this stream of random numbers."""
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0] >> 1)


class Learner:
    """Acting, adding a transition and updating are a learner's whole interface to an environment.

    Here is what learning from replay and from rollouts share; `algorithms.learner_of` names the class of an algorithm's
    learner. The step functions are pure: a learner alone copies their results into the state's fixed buffers, and
    refreshes the old policy, by counters that a checkpoint saves.
    """

    def __init__(
        self,
        algorithm: Any,
        config: SharedHyperparameters,
        spaces: Spaces,
        seed: int,
        device: torch.device | str = "cpu",
        compiled: bool = False,
        precision: str = "fp32",
    ) -> None:
        self.algorithm = algorithm
        self._seed = seed
        self.device = torch.device(device)
        build: Any = ActorValue.build if isinstance(config, OnPolicyHyperparameters) else ActorCritic.build
        self.model: Any = build(config, spaces)
        self.config: Any = self.model.config
        self.replay = self._storage()
        self.act_generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, ACT])))
        self.update_generator = torch.Generator(self.device).manual_seed(seed_of(seed, UPDATE))
        self.state = algorithm.init(self.model, torch.Generator().manual_seed(seed_of(seed, INIT)))
        if self.device.type != "cpu":
            self._to_device()
        self.actor_updates = 0  # gradient steps on the actor's side since the run began
        # Names of diagnostics -> sums since the last `take_metrics`, still on the device, and of how many updates.
        self._sums: dict[tuple[str, ...], tuple[Tensor, int]] = {}
        self.coefficients = coefficients(self.config, self.device)
        self._compiled, self._precision = compiled, precision
        self._weights: dict[str, NDArray[Any]] | None = None
        self._mirrored = self.device.type != "cpu"  # acting on the CPU reads a copy of the actor
        self._actor_copied = -1  # that of so many actor updates

    def _storage(self) -> Replay:
        """Where transitions go; its `total` counts all that were ever added."""
        raise NotImplementedError

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """An exploring action (A,)."""
        raise NotImplementedError

    def add(
        self,
        observation: NDArray[Any],
        action: NDArray[Any],
        reward: float,
        next_observation: NDArray[Any],
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Stores one transition; `next_observation` is the episode's own also where the episode ends."""
        raise NotImplementedError

    @property
    def warm_up(self) -> int:
        """Transitions that an empty storage takes before the first update."""
        raise NotImplementedError

    @property
    def updating(self) -> bool:
        """Whether learning has begun."""
        raise NotImplementedError

    @property
    def about_to_update(self) -> bool:
        """Whether `update` will do something after the next transition."""
        raise NotImplementedError

    def update(self) -> None:
        """All gradient steps that belong to one environment step."""
        raise NotImplementedError

    def overestimation(self, episode: Batch) -> dict[str, float]:
        """The critics against the returns of one episode of the current policy (a batch, in order)."""
        raise NotImplementedError

    def policy_action(self, observation: NDArray[Any], generator: np.random.Generator | None = None) -> NDArray[Any]:
        """An action (A,) drawn from the policy with this generator; without one, its mean or its likeliest action."""
        policy: Policy = self.model.policy
        return policy.act(self._actor_weights(), observation.astype(np.float32), generator)

    def _actor_weights(self) -> dict[str, NDArray[Any]]:
        """The policy's weights as arrays: on the CPU views into the state's buffers, else of a copy of it."""
        actor = self.state.actor
        if self._weights is None:
            pinned = self.device.type == "cuda"
            self._actor_copy = torch.empty_like(actor, device="cpu", pin_memory=pinned) if self._mirrored else actor
            named = self.model.policy.network.unflatten(self._actor_copy)
            self._weights = {name: tensor.numpy() for name, tensor in named.items()}
        if self._mirrored and self._actor_copied != self.actor_updates:
            self._actor_copy.copy_(actor)
            self._actor_copied = self.actor_updates
        return self._weights

    def _to_device(self) -> None:
        def moved(state: Any) -> Any:
            return state.to(self.device) if isinstance(state, Tensor) else type(state)(*map(moved, state))

        self.state = moved(self.state)

    def _count(self, names: tuple[str, ...], values: Tensor) -> None:
        """Adds one update's diagnostics."""
        total, count = self._sums.get(names, (0.0, 0))
        self._sums[names] = (total + values, count + 1)

    def take_metrics(self, keep: bool = False) -> dict[str, float]:
        """The diagnostics' means over the updates since the last call. Reads from the device.

        With `keep` this call does not count as one: the next means are over these updates, too.
        """
        totals: dict[str, list[tuple[float, int]]] = {}
        for names, (total, count) in self._sums.items():
            for name, value in zip(names, total.tolist(), strict=True):
                totals.setdefault(name, []).append((value, count))
        if not keep:
            self._sums = {}
        return {name: sum(v for v, _ in parts) / sum(n for _, n in parts) for name, parts in totals.items()}

    def ready(self, step: Step) -> Step:
        """The function as this learner runs it."""
        if self._precision == "bf16":
            step = half_products(step, self.device.type)
        if self._compiled:
            step = whole_graph(step, self.device.type)
        if self.device.type == "cpu":
            return without_denormals(step)
        return Recorded(step) if self._compiled else step

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint needs beside the replay and is a tensor: state, update generator, sums of diagnostics."""
        sums = {f"sums.{','.join(names)}": total for names, (total, _) in self._sums.items()}
        return dict(named_leaves(self.state)) | sums | {"update_generator": self.update_generator.get_state()}

    def counters(self) -> dict[str, Any]:
        """The same for plain numbers, fit for JSON."""
        return {
            "transitions": self.replay.total,
            "actor_updates": self.actor_updates,
            "summed": {",".join(names): count for names, (_, count) in self._sums.items()},
            "act_generator": copy.deepcopy(self.act_generator.bit_generator.state),
        }

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Puts back what `tensors` and `counters` gave. KeyError or RuntimeError if they are another learner's.

        Generators of CPUs and of GPUs have states of different kinds: on the other device the update's begins anew.
        """
        for name, buffer in named_leaves(self.state):
            buffer.copy_(tensors[name])
        summed = counters["summed"].items()
        self._sums = {tuple(key.split(",")): (tensors[f"sums.{key}"].to(self.device), n) for key, n in summed}
        generator = tensors["update_generator"]
        if generator.shape == self.update_generator.get_state().shape:
            self.update_generator.set_state(generator)
        else:
            self.update_generator.manual_seed(seed_of(self._seed, UPDATE, counters["transitions"]))
        self.act_generator.bit_generator.state = counters["act_generator"]
        self.replay.total = counters["transitions"]
        self.actor_updates = counters["actor_updates"]
        self._actor_copied = -1
