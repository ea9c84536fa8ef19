"""Learning from rollouts: T transitions of one policy, several epochs of minibatches over them, and they are forgotten.

Source of the scheme: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv 1707.06347, Algorithm 1.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.core.rollout import Minibatch, Rollout
from algorithms.core.types import Batch
from algorithms.family.actor_value import advantages, observe, v_overestimation
from algorithms.learner.base import Learner, overwrite
from algorithms.learner.compiling import Step
from algorithms.learner.replay import Replay


class OnPolicyLearner(Learner):
    """A rollout is a policy iteration: π^k plays it and is frozen in all of its epochs.

    The storage is a ring that holds one rollout: it is full whenever the number of all transitions is a multiple of T.
    """

    def _storage(self) -> Replay:
        T, widths = self.config.rollout_steps, Rollout.widths(self.model.spaces)
        return Replay(T, widths, self.config.batch_size, self.device)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """An action (A,) drawn from the policy."""
        return self.policy_action(observation, self.act_generator)

    def add(
        self,
        observation: NDArray[Any],
        action: NDArray[Any],
        reward: float,
        next_observation: NDArray[Any],
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Appends one transition to the rollout."""
        end = terminated or truncated
        self.replay.add(observation, action, reward, next_observation, not terminated, end)

    @property
    def warm_up(self) -> int:
        """One rollout."""
        return int(self.config.rollout_steps)

    @property
    def updating(self) -> bool:
        """Whether there has been an update."""
        return self.actor_updates > 0

    @property
    def about_to_update(self) -> bool:
        """Whether the next transition completes a rollout."""
        return (self.replay.total + 1) % self.warm_up == 0

    @torch.no_grad()
    def update(self) -> None:
        """All epochs, if the rollout is complete; else nothing."""
        if self.replay.total % self.warm_up or not self.replay.total:
            return
        T, B = self.config.rollout_steps, self.config.batch_size
        generator, device, c = self.update_generator, self.device, self.coefficients
        overwrite(self.state, observe(self.model, self.state, Rollout.unpack(self.replay.rows, self.model.spaces), c))
        rows, names, values = self._prepare(self.state, self.replay.rows, c)
        self._count(names, values)
        for _ in range(self.config.epochs):
            for chosen in torch.randperm(T, generator=generator, device=device).view(-1, B):
                noise = torch.randn(B, self.model.spaces.action, generator=generator, device=device)
                self._count(*self._step(self.state, rows[chosen], noise, c))
                self.actor_updates += 1
        s = self.replay.rows[:, : self.model.spaces.observation]
        self._count(("kl_old",), self._moved(s))
        overwrite(self.state, self.algorithm.refresh(self.state))

    def _moved(self, s: Tensor) -> Tensor:
        """KL(π^{k+1} ‖ π^k), (1,), the mean over the rollout."""
        policy = self.model.policy
        new, old = (policy.distribution(actor, s) for actor in (self.state.actor, self.state.old_actor))
        return policy.kl(new, old).mean().view(1)  # type: ignore[no-any-return]

    @cached_property
    def _prepare(self) -> Any:
        """(state, rollout's rows, c) -> rows of all minibatches, names and values of metrics."""
        model = self.model

        def prepare(state: Any, rows: Tensor, c: Any) -> tuple[Tensor, tuple[str, ...], Tensor]:
            minibatches, metrics = advantages(model, state, Rollout.unpack(rows, model.spaces), c)
            return minibatches, tuple(metrics), torch.stack(tuple(metrics.values()))

        return prepare  # once in thousands of steps: not worth a compilation

    @cached_property
    def _step(self) -> Step:
        """One gradient step on the policy, and one on the critic."""
        # The functions themselves and not their module, as in `OffPolicyLearner.change`.
        model, policy_step, critic_step = self.model, self.algorithm.policy_step, self.algorithm.critic_step

        def step(state: Any, rows: Tensor, noise: Tensor, c: Any) -> tuple[tuple[str, ...], Tensor]:
            batch = Minibatch.unpack(rows, model.spaces)
            new, metrics = policy_step(model, state, batch, noise, c)
            new, more = critic_step(model, new, batch, c)
            metrics = metrics | more
            overwrite(state, new)
            return tuple(metrics), torch.stack(tuple(metrics.values()))

        return self.ready(step)

    @torch.no_grad()
    def overestimation(self, episode: Batch) -> dict[str, float]:
        """How far V overestimates the states of one episode of the current policy (a batch, in order)."""
        on_device = Batch(*(part.to(self.device) for part in episode))
        measured = v_overestimation(self.model, self.state, on_device, self.coefficients)
        return {name: value.item() for name, value in measured.items()}
