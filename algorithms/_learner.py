"""The off-policy learner: an algorithm's pure functions, the state they act on, replay, and the run's generators."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms._actor_critic import ActorCritic
from algorithms._diagnostics import q_overestimation
from algorithms._hyperparameters import Hyperparameters, coefficients
from algorithms._replay import Replay
from algorithms._types import Algorithm, Batch, Metrics, Spaces

_compiled_steps = itertools.count()
DIAGNOSED_STATES, DIAGNOSED_ACTIONS = 64, 32
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


def _seed(*stream: int) -> int:
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0] >> 1)


class Learner:
    """What the loop trains. Acting, adding a transition and updating are its whole interface to an environment.

    The step functions are pure; this class alone copies their results into the state's fixed buffers, chooses the phase
    and refreshes the old policy, by counters that a checkpoint saves.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        config: Hyperparameters,
        spaces: Spaces,
        seed: int,
        device: torch.device | str = "cpu",
        compiled: bool = False,
    ) -> None:
        self.algorithm = algorithm
        self._seed = seed
        self.device = torch.device(device)
        self.model = ActorCritic.build(config, spaces)
        self.config: Any = self.model.config
        self.replay = Replay(self.config.buffer_size, spaces, self.config.batch_size, self.device)
        self.act_generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, ACT])))
        self.update_generator = torch.Generator(self.device).manual_seed(_seed(seed, UPDATE))
        self.state = algorithm.init(self.model, torch.Generator().manual_seed(_seed(seed, INIT)))
        if self.device.type != "cpu":
            self._to_device()
        self.actor_updates = 0  # since the run began; its place in the schedule says which phase comes next
        self._diagnosed = False  # since the last `take_metrics`
        # Names of diagnostics -> sums since the last `take_metrics`, still on the device, and of how many updates.
        self._sums: dict[tuple[str, ...], tuple[Tensor, int]] = {}
        self._coefficients = coefficients(self.config, self.device)
        self._noise_shape = (algorithm.noise_samples(self.config), self.config.batch_size, spaces.action)
        # The phase of each gradient step of one policy iteration, in order.
        self._iteration = [phase for phase, count in algorithm.schedule(self.config) for _ in range(count)]
        self._compiled = compiled
        self._weights: dict[str, NDArray[Any]] | None = None
        self._steps: dict[tuple[bool, str | None], Callable[..., tuple[tuple[str, ...], Tensor]]] = {}

    def _to_device(self) -> None:
        def moved(state: Any) -> Any:
            return state.to(self.device) if isinstance(state, Tensor) else type(state)(*map(moved, state))

        self.state = moved(self.state)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """An exploring action (A,): uniform before the first update, then drawn from the policy."""
        if not self.updating and not self.actor_updates:
            return self.model.policy.explore(self.act_generator)
        return self.policy_action(observation, self.act_generator)

    def policy_action(self, observation: NDArray[Any], generator: np.random.Generator | None = None) -> NDArray[Any]:
        """An action (A,) drawn from the policy with this generator; without one, its mean or its likeliest action."""
        return self.model.policy.act(self._actor_weights(), observation.astype(np.float32), generator)

    def _actor_weights(self) -> dict[str, NDArray[Any]]:
        """The policy's weights as arrays: on the CPU views into the state's buffers, made once."""
        if self._weights is None or self.device.type != "cpu":
            named = self.model.policy.network.unflatten(self.state.actor.cpu())
            self._weights = {name: tensor.numpy() for name, tensor in named.items()}
        return self._weights

    @property
    def updating(self) -> bool:
        """Whether the replay holds what `learning_starts` asks for."""
        return bool(self.replay.total >= self.config.learning_starts)

    @property
    def about_to_update(self) -> bool:
        """Whether `update` will do something after the next transition."""
        return bool(self.replay.total + 1 >= self.config.learning_starts)

    def update(self) -> None:
        """All gradient steps that belong to one environment step; none before `learning_starts`."""
        if not self.updating:
            return
        critic_updates, actor_updates = self.config.critic_updates_per_step, self.config.actor_updates_per_step
        for i in range(max(critic_updates, actor_updates)):
            self._update(critic=i < critic_updates, actor=i < actor_updates)

    @torch.no_grad()
    def _update(self, critic: bool, actor: bool) -> None:
        place = self.actor_updates % len(self._iteration)
        ends = actor and place == len(self._iteration) - 1  # a policy iteration
        diagnosing = ends and not self._diagnosed
        old_actor = getattr(self.state, "old_actor", self.state.actor).clone() if diagnosing else None
        step = self._step(critic, self._iteration[place] if actor else None)
        rows = self.replay.sample(self.update_generator)
        noise = torch.randn(self._noise_shape, generator=self.update_generator, device=self.device)
        names, values = step(self.state, rows, noise, self._coefficients)
        total, count = self._sums.get(names, (0.0, 0))
        self._sums[names] = (total + values, count + 1)
        if actor:
            self.actor_updates += 1
            if old_actor is not None:
                self._diagnose(old_actor)
            if ends:
                overwrite(self.state, self.algorithm.refresh(self.state))

    def _diagnose(self, old_actor: Tensor) -> None:
        """Diagnostics at the end of the first policy iteration since the last `take_metrics`.

        Its random numbers are its own, so that training is the same however often it is diagnosed.
        """
        seed = _seed(self._seed, DIAGNOSE, self.actor_updates)
        generator = torch.Generator(self.device).manual_seed(seed)
        s = Batch.unpack(self.replay.sample(generator), self.model.spaces).observation[:DIAGNOSED_STATES]
        shape = (DIAGNOSED_ACTIONS, len(s), self.model.spaces.action)
        noise = torch.randn(shape, generator=generator, device=self.device)
        metrics = self.algorithm.diagnose(self.model, self.state, old_actor, s, noise, self._coefficients)
        self._sums[tuple(metrics)] = (torch.stack(tuple(metrics.values())), 1)
        self._diagnosed = True

    @torch.no_grad()
    def q_overestimation(self, episode: Batch) -> dict[str, float]:
        """How far the critics overestimate the pairs of one episode of the current policy (a batch, in order)."""
        generator = torch.Generator().manual_seed(_seed(self._seed, DIAGNOSE, self.actor_updates, len(episode.reward)))
        noise = torch.randn(episode.action.shape, generator=generator).to(self.device)
        on_device = Batch(*(part.to(self.device) for part in episode))
        regulariser = self.algorithm.regulariser
        measured = q_overestimation(self.model, self.state, regulariser, on_device, noise, self._coefficients)
        return {name: value.item() for name, value in measured.items()}

    def take_metrics(self, keep: bool = False) -> dict[str, float]:
        """The diagnostics' means over the updates since the last call. Reads from the device.

        With `keep` this call does not count as one: the next means are over these updates, too.
        """
        totals: dict[str, list[tuple[float, int]]] = {}
        for names, (total, count) in self._sums.items():
            for name, value in zip(names, total.tolist(), strict=True):
                totals.setdefault(name, []).append((value, count))
        if not keep:
            self._sums, self._diagnosed = {}, False
        return {name: sum(v for v, _ in parts) / sum(n for _, n in parts) for name, parts in totals.items()}

    def _step(self, critic: bool, phase: str | None) -> Callable[..., tuple[tuple[str, ...], Tensor]]:
        """The function of one update, built once for each combination: critics first, then the actor's phase."""
        if (critic, phase) not in self._steps:
            algorithm, model = self.algorithm, self.model

            def step(state: Any, rows: Tensor, noise: Tensor, c: Any) -> tuple[tuple[str, ...], Tensor]:
                batch = Batch.unpack(rows, model.spaces)
                new: Any = state
                metrics: Metrics = {}
                if critic:
                    new, metrics = algorithm.critic_step(model, new, batch, noise, c)
                if phase is not None:
                    new, more = algorithm.PHASES[phase](model, new, batch, noise, c)
                    metrics = metrics | more
                overwrite(state, new)
                return tuple(metrics), torch.stack(tuple(metrics.values()))

            self._steps[critic, phase] = self._compile(step) if self._compiled else step
        return self._steps[critic, phase]

    @staticmethod
    def _compile(step: Any) -> Callable[..., Any]:
        """One graph of the whole update. Its inputs keep their shapes for the whole run, so nothing need guard them.

        The compiler keeps its graphs by code object, which all closures of one definition share: without guards each
        must have its own, or it would be given another's graph.
        """
        code = step.__code__.replace(co_name=f"step_{next(_compiled_steps)}")
        own = FunctionType(code, step.__globals__, code.co_name, None, step.__closure__)
        no_guards = torch.compiler.skip_all_guards_unsafe
        return torch.compile(own, fullgraph=True, dynamic=False, options={"guard_filter_fn": no_guards})

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint needs beside the replay and is a tensor: state, update generator, sums of diagnostics."""
        sums = {f"sums.{','.join(names)}": total for names, (total, _) in self._sums.items()}
        return dict(named_leaves(self.state)) | sums | {"update_generator": self.update_generator.get_state()}

    def counters(self) -> dict[str, Any]:
        """The same for plain numbers, fit for JSON."""
        return {
            "transitions": self.replay.total,
            "actor_updates": self.actor_updates,
            "diagnosed": self._diagnosed,
            "summed": {",".join(names): count for names, (_, count) in self._sums.items()},
            "act_generator": copy.deepcopy(self.act_generator.bit_generator.state),
        }

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Puts back what `tensors` and `counters` gave. KeyError or RuntimeError if they are another learner's."""
        for name, buffer in named_leaves(self.state):
            buffer.copy_(tensors[name])
        summed = counters["summed"].items()
        self._sums = {tuple(key.split(",")): (tensors[f"sums.{key}"].to(self.device), n) for key, n in summed}
        self.update_generator.set_state(tensors["update_generator"])
        self.act_generator.bit_generator.state = counters["act_generator"]
        self.replay.total = counters["transitions"]
        self.actor_updates = counters["actor_updates"]
        self._diagnosed = counters["diagnosed"]
