"""Finite discounted MDPs in batches of equal size, with rewards in [0, 1], as the theorems want them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class MDP(NamedTuple):
    """M finite MDPs with S states and A actions."""

    P: Tensor  # (M, S, A, S), transition probabilities
    r: Tensor  # (M, S, A), expected rewards
    rho: Tensor  # (M, S), the start distribution, positive everywhere
    gamma: float  # discount

    def chunks(self, size: int) -> Iterator[MDP]:
        """The same MDPs, at most `size` at once: a batch that fits into the cache is several times as fast."""
        for first in range(0, len(self.r), size):
            part = slice(first, first + size)
            yield MDP(self.P[part], self.r[part], self.rho[part], self.gamma)


def garnet(instances: int, states: int, actions: int, branching: int, gamma: float, generator: torch.Generator) -> MDP:
    """Garnets (Bhatnagar et al. 2009): `branching` random successors, weighted by the gaps of sorted uniforms."""
    shape = (instances, states, actions)
    successors = torch.rand(*shape, states, generator=generator, dtype=torch.float64).argsort(-1)[..., :branching]
    cuts = torch.rand(*shape, branching - 1, generator=generator, dtype=torch.float64).sort(-1).values
    zero, one = cuts.new_zeros(*shape, 1), cuts.new_ones(*shape, 1)
    weights = torch.cat([cuts, one], -1) - torch.cat([zero, cuts], -1)
    P = torch.zeros(*shape, states, dtype=torch.float64).scatter(-1, successors, weights)
    r = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return MDP(P, r, _uniform(instances, states), gamma)


def chain(states: int, gamma: float, slip: float = 0.1) -> MDP:
    """A walk on a line, `slip` the other way: 1 for going right at the right end, 0.1 for going left at the left."""
    P, r = torch.zeros(1, states, 2, states, dtype=torch.float64), torch.zeros(1, states, 2, dtype=torch.float64)
    for s in range(states):
        for a, there in enumerate((max(s - 1, 0), min(s + 1, states - 1))):
            back = (min(s + 1, states - 1), max(s - 1, 0))[a]
            P[0, s, a, there] += 1 - slip
            P[0, s, a, back] += slip
    r[0, 0, 0], r[0, -1, 1] = 0.1, 1.0
    return MDP(P, r, _uniform(1, states), gamma)


def grid_world(side: int, gamma: float, slip: float = 0.1) -> MDP:
    """side × side cells; north, east, south, west, or with `slip` a random one; a step out of the last cell pays 1."""
    cells = side * side
    P, r = torch.zeros(1, cells, 4, cells, dtype=torch.float64), torch.zeros(1, cells, 4, dtype=torch.float64)
    for cell in range(cells):
        row, column = divmod(cell, side)
        places = [
            min(max(row + down, 0), side - 1) * side + min(max(column + right, 0), side - 1)
            for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1))
        ]
        for a, place in enumerate(places):
            P[0, cell, a, place] += 1 - slip
            for other in places:
                P[0, cell, a, other] += slip / 4
    P[0, -1] = 1 / cells  # from the goal anywhere
    r[0, -1] = 1.0
    return MDP(P, r, _uniform(1, cells), gamma)


def from_table(table: Mapping[int, Mapping[int, Sequence[tuple[Any, ...]]]], gamma: float) -> MDP:
    """A tabular Gymnasium environment through its `env.unwrapped.P`: P[s][a] = [(probability, s', reward, terminated)].

    An absorbing last state takes what terminates, with reward 0. Rewards are then mapped onto [0, 1], the absorbing
    state's too, which changes no policy's rank; starts are uniform over all states.
    """
    states, actions = len(table), len(table[0])
    P = torch.zeros(1, states + 1, actions, states + 1, dtype=torch.float64)
    r = torch.zeros(1, states + 1, actions, dtype=torch.float64)
    P[0, states, :, states] = 1.0
    for s, choices in table.items():
        for a, outcomes in choices.items():
            for probability, successor, reward, terminated in outcomes:
                P[0, s, a, states if terminated else successor] += float(probability)
                r[0, s, a] += float(probability) * float(reward)
    r -= r.min()
    return MDP(P, r / r.max() if r.max() > 0 else r, _uniform(1, states + 1), gamma)


def _uniform(instances: int, states: int) -> Tensor:
    return torch.full((instances, states), 1 / states, dtype=torch.float64)
