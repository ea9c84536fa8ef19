"""Learning from replay: every environment step adds a transition and takes gradient steps on random minibatches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.types import Batch, Exploring, Metrics, Policy
from algorithms.family.diagnostics import q_overestimation
from algorithms.learner.base import DIAGNOSE, Learner, overwrite, seed_of
from algorithms.learner.compiling import Step
from algorithms.learner.replay import Replay

DIAGNOSED_STATES, DIAGNOSED_ACTIONS = 64, 32


Change = Callable[..., tuple[Any, Metrics]]


class Stage(NamedTuple):
    """One gradient step: whether the critics take part, the actor's phase, whether it ends a policy iteration."""

    critic: bool
    phase: str | None
    ends: bool


class OffPolicyLearner(Learner):
    """Chooses each update's phase by its place in the policy iteration, and refreshes the old policy at its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._diagnosed = False  # since the last `take_metrics`
        algorithm, config = self.algorithm, self.config
        self._noise_shape = (algorithm.noise_samples(config), config.batch_size, self.model.spaces.action)
        self.noise = torch.empty(self._noise_shape, device=self.device)
        # The phase of each gradient step of one policy iteration, in order.
        self._iteration = [phase for phase, count in algorithm.schedule(config) for _ in range(count)]
        self.steps: dict[tuple[bool, str | None], Step] = {}
        self._explore = getattr(algorithm, "explore", None)
        self._memory = np.zeros(self.model.spaces.action)  # of its exploration

    def _storage(self) -> Replay:
        widths = Batch.widths(self.model.spaces)
        return Replay(self.config.buffer_size, widths, self.config.batch_size, self.device)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """An exploring action (A,): uniform before the first update, then drawn or as `explore` says."""
        policy: Policy = self.model.policy
        if not self.updating and not self.actor_updates:
            return policy.explore(self.act_generator)
        drawn = self.policy_action(observation, self.act_generator)
        if self._explore is None:
            return drawn
        generator, spaces = self.act_generator, self.model.spaces
        seen = Exploring(
            best=self.policy_action(observation),
            drawn=drawn,
            random=policy.explore(generator),
            normal=generator.standard_normal(spaces.action),
            uniform=generator.random(),
            memory=self._memory.copy(),
            step=self.replay.total,
        )
        played, memory = self._explore(seen, self.config)
        action, self._memory = np.array(played, np.float32), np.array(memory, np.float64)
        if not action.shape == self._memory.shape == (spaces.action,):
            raise ValueError(f"explore must return an action and a memory of shape ({spaces.action},) each")
        return action if spaces.choices else np.clip(action, -1, 1)

    def add(
        self,
        observation: NDArray[Any],
        action: NDArray[Any],
        reward: float,
        next_observation: NDArray[Any],
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Appends one transition to the replay; truncation bootstraps."""
        if terminated or truncated:
            self._memory = np.zeros_like(self._memory)
        self.replay.add(observation, action, reward, next_observation, not terminated)

    @property
    def warm_up(self) -> int:
        """What `learning_starts` asks for."""
        return int(self.config.learning_starts)

    @property
    def updating(self) -> bool:
        """Whether the replay holds what `learning_starts` asks for."""
        return self.replay.total >= self.warm_up

    @property
    def about_to_update(self) -> bool:
        """Whether `update` will do something after the next transition."""
        return self.replay.total + 1 >= self.warm_up

    def update(self) -> None:
        """All gradient steps that belong to one environment step; none before `learning_starts`."""
        for critic, actor in self.gradient_steps():
            self._update(self.stage(critic, actor))

    def gradient_steps(self) -> Iterator[tuple[bool, bool]]:
        """Whether the critics and the actor's side take part, for each gradient step after one environment step."""
        if self.updating:
            critic_updates, actor_updates = self.config.critic_updates_per_step, self.config.actor_updates_per_step
            for i in range(max(critic_updates, actor_updates)):
                yield i < critic_updates, i < actor_updates

    def stage(self, critic: bool, actor: bool) -> Stage:
        """What the next gradient step is, by the place in the policy iteration."""
        place = self.actor_updates % len(self._iteration)
        return Stage(critic, self._iteration[place] if actor else None, actor and place == len(self._iteration) - 1)

    @torch.no_grad()
    def _update(self, stage: Stage) -> None:
        old_actor = self.before(stage)
        self.draw()
        names, values = self._step(stage)(self.state, self.replay.batch, self.noise, self.coefficients)
        self.after(stage, old_actor, names, values)

    def before(self, stage: Stage) -> Tensor | None:
        """The old policy if this gradient step will be diagnosed, which needs it afterwards."""
        diagnosing = stage.ends and not self._diagnosed
        return getattr(self.state, "old_actor", self.state.actor).clone() if diagnosing else None

    def draw(self) -> None:
        """The next minibatch and its noise, into the buffers that the step functions read."""
        self.replay.sample(self.update_generator)
        torch.randn(self._noise_shape, generator=self.update_generator, out=self.noise)

    def after(self, stage: Stage, old_actor: Tensor | None, names: tuple[str, ...], values: Tensor) -> None:
        """Counts a gradient step whose result is in the state, and ends the policy iteration where it does."""
        self._count(names, values)
        if stage.phase is not None:
            self.actor_updates += 1
            if old_actor is not None:
                self._diagnose(old_actor)
            if stage.ends:
                overwrite(self.state, self.algorithm.refresh(self.state))

    def share(self, state: Any, rows: Tensor, noise: Tensor) -> None:
        """Moves state, minibatch and noise to this memory, which holds the same state."""
        self.state, self.replay.batch, self.noise = state, rows, noise
        self._weights, self._actor_copied = None, -1

    def _diagnose(self, old_actor: Tensor) -> None:
        """Diagnostics at the end of the first policy iteration since the last `take_metrics`.

        Its random numbers are its own, so that training is the same however often it is diagnosed.
        """
        seed = seed_of(self._seed, DIAGNOSE, self.actor_updates)
        generator = torch.Generator(self.device).manual_seed(seed)
        s = Batch.unpack(self.replay.sample(generator), self.model.spaces).observation[:DIAGNOSED_STATES]
        shape = (DIAGNOSED_ACTIONS, len(s), self.model.spaces.action)
        noise = torch.randn(shape, generator=generator, device=self.device)
        metrics = self.algorithm.diagnose(self.model, self.state, old_actor, s, noise, self.coefficients)
        self._sums[tuple(metrics)] = (torch.stack(tuple(metrics.values())), 1)
        self._diagnosed = True

    @torch.no_grad()
    def overestimation(self, episode: Batch) -> dict[str, float]:
        """How far the critics overestimate the pairs of one episode of the current policy (a batch, in order)."""
        generator = torch.Generator().manual_seed(
            seed_of(self._seed, DIAGNOSE, self.actor_updates, len(episode.reward))
        )
        noise = torch.randn(episode.action.shape, generator=generator).to(self.device)
        on_device = Batch(*(part.to(self.device) for part in episode))
        regulariser = self.algorithm.regulariser
        measured = q_overestimation(self.model, self.state, regulariser, on_device, noise, self.coefficients)
        return {name: value.item() for name, value in measured.items()}

    def take_metrics(self, keep: bool = False) -> dict[str, float]:
        """As every learner's; the next policy iteration is diagnosed anew."""
        self._diagnosed = self._diagnosed and keep
        return super().take_metrics(keep)

    def change(self, stage: Stage) -> Change:
        """The pure function of one gradient step: critics first, then the actor's phase."""
        # The functions themselves and not their module: a graph kept for later is told by what the step closes over,
        # and a module's text does not say that somebody put another function in it.
        model, (critic, phase, _) = self.model, stage
        critic_step = self.algorithm.critic_step if critic else None
        actor_step = self.algorithm.PHASES[phase] if phase is not None else None

        def change(state: Any, batch: Batch, noise: Tensor, c: Any) -> tuple[Any, Metrics]:
            new: Any = state
            metrics: Metrics = {}
            if critic_step is not None:
                new, metrics = critic_step(model, new, batch, noise, c)
            if actor_step is not None:
                new, more = actor_step(model, new, batch, noise, c)
                metrics = metrics | more
            return new, metrics

        return change

    def _step(self, stage: Stage) -> Step:
        """The function that makes the change in the state's buffers, built once for each combination."""
        key = (stage.critic, stage.phase)
        if key not in self.steps:
            change, spaces = self.change(stage), self.model.spaces

            def step(state: Any, rows: Tensor, noise: Tensor, c: Any) -> tuple[tuple[str, ...], Tensor]:
                new, metrics = change(state, Batch.unpack(rows, spaces), noise, c)
                overwrite(state, new)
                return tuple(metrics), torch.stack(tuple(metrics.values()))

            self.steps[key] = self.ready(step)
        return self.steps[key]

    def counters(self) -> dict[str, Any]:
        """Plain numbers, fit for JSON."""
        memory = {"memory": self._memory.tolist()} if self._explore else {}
        return super().counters() | {"diagnosed": self._diagnosed} | memory

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Puts back what `tensors` and `counters` gave."""
        super().restore(tensors, counters)
        self._diagnosed = counters["diagnosed"]
        if self._explore:
            self._memory = np.array(counters["memory"])
