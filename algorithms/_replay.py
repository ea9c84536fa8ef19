"""Experience replay: one packed float32 row per transition, in a ring."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms._types import Batch, Spaces


class Replay:
    """The last `capacity` transitions. Memory is reserved at once and taken from the system as rows are written."""

    def __init__(self, capacity: int, spaces: Spaces, batch_size: int, device: torch.device) -> None:
        self.capacity = capacity
        self.total = 0  # transitions ever added; transition n lies in row n % capacity
        self._spaces = spaces
        self._rows = torch.empty(capacity, Batch.row_width(spaces), device=device)
        self._batch = torch.empty(batch_size, Batch.row_width(spaces), device=device)
        self._staged = np.empty(Batch.row_width(spaces), dtype=np.float32)
        self._host = self._rows.numpy() if device.type == "cpu" else None

    def add(
        self,
        observation: NDArray[Any],
        action: NDArray[Any],
        reward: float,
        next_observation: NDArray[Any],
        bootstrap: bool,
    ) -> None:
        """Appends one transition, in place of the oldest if the ring is full."""
        S, A = self._spaces.observation, self._spaces.action
        slot = self.total % self.capacity
        row = self._staged if self._host is None else self._host[slot]
        row[:S] = observation
        row[S : S + A] = action
        row[S + A] = reward
        row[S + A + 1 : -1] = next_observation
        row[-1] = bootstrap
        if self._host is None:
            self._rows[slot] = torch.from_numpy(row)
        self.total += 1

    def sample(self, generator: torch.Generator) -> Tensor:
        """Packed rows (B, row_width), uniformly with replacement. The result is overwritten by the next call."""
        filled = min(self.total, self.capacity)
        index = torch.randint(filled, (len(self._batch),), generator=generator, device=self._rows.device)
        return torch.index_select(self._rows, 0, index, out=self._batch)

    def read(self, start: int, stop: int) -> Tensor:
        """A copy of transitions start … stop - 1, counted from the first ever; they must still be in the ring."""
        slots = torch.arange(start, stop, device=self._rows.device) % self.capacity
        return self._rows[slots].cpu()

    def write(self, start: int, rows: Tensor) -> None:
        """Puts transitions start, start + 1, … back where `read` found them."""
        slots = torch.arange(start, start + len(rows), device=self._rows.device) % self.capacity
        self._rows[slots] = rows.to(self._rows.device)
