"""Several seeds of one configuration, updated together: on a GPU with a leading seed axis on the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from algorithms.core.types import Batch
from algorithms.learner.base import overwrite
from algorithms.learner.compiling import Step
from algorithms.learner.off_policy import OffPolicyLearner, Stage


class SeedGroup:
    """The learners stay what they are alone, each with its own random numbers, replay and counters.

    On a GPU one graph updates all of them: their states and minibatches become views of one slot each of shared memory.
    On a CPU, where the batch would only drive the products out of the cache (1.2 to 1.4 times the time for each seed),
    the same graph updates one after the other, so that each is to the bit the learner that it would be alone. `width`,
    at least the number of learners, is that of the batch: what it computes may depend on it to rounding.
    """

    def __init__(self, members: Sequence[OffPolicyLearner], width: int, batched: bool | None = None) -> None:
        self._first = members[0]
        self._members = dict(enumerate(members))  # by slot; what an empty slot computes is never read
        self._batched = self._first.device.type != "cpu" if batched is None else batched
        self._steps: dict[tuple[bool, str | None], Step] = {}
        if self._batched:
            self._share(width)
        else:
            for member in members:
                member.steps = self._first.steps  # compiled once

    def _share(self, width: int) -> None:
        first, members = self._first, self._members
        self._state: Any = _stacked([members[min(slot, len(members) - 1)].state for slot in range(width)])
        self._rows = torch.zeros(width, *first.replay.batch.shape, device=first.device)
        self._noise = torch.zeros(width, *first.noise.shape, device=first.device)
        for slot, member in members.items():
            member.share(_slot(self._state, slot), self._rows[slot], self._noise[slot])

    def leave(self, member: OffPolicyLearner) -> None:
        """Its run has ended before the others'."""
        self._members = {slot: other for slot, other in self._members.items() if other is not member}

    def update(self) -> None:
        """All gradient steps that belong to one environment step of every member, which are all at the same one."""
        if not self._batched:
            for member in self._members.values():
                member.update()
            return
        some = next(iter(self._members.values()))
        for critic, actor in some.gradient_steps():
            self._update(some.stage(critic, actor))

    @torch.no_grad()
    def _update(self, stage: Stage) -> None:
        old_actors = {slot: member.before(stage) for slot, member in self._members.items()}
        for member in self._members.values():
            member.draw()
        names, values = self._step(stage)(self._state, self._rows, self._noise, self._first.coefficients)
        for slot, member in self._members.items():
            member.after(stage, old_actors[slot], names, values[slot])

    def _step(self, stage: Stage) -> Step:
        """`OffPolicyLearner`'s, of every slot at once."""
        key = (stage.critic, stage.phase)
        if key not in self._steps:
            change, spaces = self._first.change(stage), self._first.model.spaces

            def one(state: Any, rows: Tensor, noise: Tensor, c: Any) -> Any:
                return change(state, Batch.unpack(rows, spaces), noise, c)

            def step(state: Any, rows: Tensor, noise: Tensor, c: Any) -> tuple[tuple[str, ...], Tensor]:
                new, metrics = torch.func.vmap(one, in_dims=(0, 0, 0, None))(state, rows, noise, c)
                overwrite(state, new)
                return tuple(metrics), torch.stack(tuple(metrics.values()), -1)

            self._steps[key] = self._first.ready(step)
        return self._steps[key]


def _stacked(states: Sequence[Any]) -> Any:
    if isinstance(states[0], Tensor):
        return torch.stack(list(states))
    return type(states[0])(*(_stacked(parts) for parts in zip(*states, strict=True)))


def _slot(state: Any, slot: int) -> Any:
    return state[slot] if isinstance(state, Tensor) else type(state)(*(_slot(part, slot) for part in state))
