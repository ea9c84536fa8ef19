"""Experience replay: one packed float32 row per transition, in a ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Replay:
    """The last `capacity` transitions. Memory is reserved at once; on a CPU the system gives it as rows are written."""

    def __init__(self, capacity: int, widths: Sequence[int], batch_size: int, device: torch.device) -> None:
        """`widths`: the numbers of each part of a transition."""
        self.capacity = capacity
        self.total = 0  # transitions ever added; transition n lies in row n % capacity
        stops = np.cumsum(widths).tolist()
        self._parts = [slice(stop - width, stop) for stop, width in zip(stops, widths, strict=True)]
        self._rows = torch.empty(capacity, stops[-1], device=device)
        self.batch = torch.empty(batch_size, stops[-1], device=device)  # the last sample
        self._staged = np.empty(stops[-1], dtype=np.float32)
        self._host = self._rows.numpy() if device.type == "cpu" else None

    def add(self, *parts: NDArray[Any] | float) -> None:
        """Appends one transition, in place of the oldest if the ring is full."""
        slot = self.total % self.capacity
        row = self._staged if self._host is None else self._host[slot]
        for place, part in zip(self._parts, parts, strict=True):
            row[place] = part
        if self._host is None:
            self._rows[slot] = torch.from_numpy(row)
        self.total += 1

    @property
    def rows(self) -> Tensor:
        """The ring itself, (capacity, sum of the widths)."""
        return self._rows

    def sample(self, generator: torch.Generator) -> Tensor:
        """Packed rows (B, their width), uniformly with replacement, in `batch`, which the next call overwrites."""
        filled = min(self.total, self.capacity)
        index = torch.randint(filled, (len(self.batch),), generator=generator, device=self._rows.device)
        return torch.index_select(self._rows, 0, index, out=self.batch)

    def read(self, start: int, stop: int) -> Tensor:
        """A copy of transitions start … stop - 1, counted from the first ever; they must still be in the ring."""
        slots = torch.arange(start, stop, device=self._rows.device) % self.capacity
        return self._rows[slots].cpu()

    def write(self, start: int, rows: Tensor) -> None:
        """Puts transitions start, start + 1, … back where `read` found them."""
        slots = torch.arange(start, start + len(rows), device=self._rows.device) % self.capacity
        self._rows[slots] = rows.to(self._rows.device)
