"""Learning from replay: every environment step adds a transition and takes gradient steps on random minibatches."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms._compiling import Step
from algorithms._diagnostics import q_overestimation
from algorithms._learner import DIAGNOSE, Learner, overwrite, seed_of
from algorithms._replay import Replay
from algorithms._types import Batch, Metrics, Policy

DIAGNOSED_STATES, DIAGNOSED_ACTIONS = 64, 32


class OffPolicyLearner(Learner):
    """Chooses each update's phase by its place in the policy iteration, and refreshes the old policy at its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._diagnosed = False  # since the last `take_metrics`
        algorithm, config = self.algorithm, self.config
        self._noise_shape = (algorithm.noise_samples(config), config.batch_size, self.model.spaces.action)
        # The phase of each gradient step of one policy iteration, in order.
        self._iteration = [phase for phase, count in algorithm.schedule(config) for _ in range(count)]
        self._steps: dict[tuple[bool, str | None], Step] = {}

    def _storage(self) -> Replay:
        widths = Batch.widths(self.model.spaces)
        return Replay(self.config.buffer_size, widths, self.config.batch_size, self.device)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """An exploring action (A,): uniform before the first update, then drawn from the policy."""
        if not self.updating and not self.actor_updates:
            policy: Policy = self.model.policy
            return policy.explore(self.act_generator)
        return self.policy_action(observation, self.act_generator)

    def add(
        self,
        observation: NDArray[Any],
        action: NDArray[Any],
        reward: float,
        next_observation: NDArray[Any],
        terminated: bool,
        truncated: bool,  # noqa: ARG002  (truncation bootstraps)
    ) -> None:
        """Appends one transition to the replay."""
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
        self._count(names, values)
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
        seed = seed_of(self._seed, DIAGNOSE, self.actor_updates)
        generator = torch.Generator(self.device).manual_seed(seed)
        s = Batch.unpack(self.replay.sample(generator), self.model.spaces).observation[:DIAGNOSED_STATES]
        shape = (DIAGNOSED_ACTIONS, len(s), self.model.spaces.action)
        noise = torch.randn(shape, generator=generator, device=self.device)
        metrics = self.algorithm.diagnose(self.model, self.state, old_actor, s, noise, self._coefficients)
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
        measured = q_overestimation(self.model, self.state, regulariser, on_device, noise, self._coefficients)
        return {name: value.item() for name, value in measured.items()}

    def take_metrics(self, keep: bool = False) -> dict[str, float]:
        """As every learner's; the next policy iteration is diagnosed anew."""
        self._diagnosed = self._diagnosed and keep
        return super().take_metrics(keep)

    def _step(self, critic: bool, phase: str | None) -> Step:
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

            self._steps[critic, phase] = self._ready(step)
        return self._steps[critic, phase]

    def counters(self) -> dict[str, Any]:
        """Plain numbers, fit for JSON."""
        return super().counters() | {"diagnosed": self._diagnosed}

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Puts back what `tensors` and `counters` gave."""
        super().restore(tensors, counters)
        self._diagnosed = counters["diagnosed"]
