"""What a display shows of a run, or of several that train together, and what a display is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dapo_cli.terminal.formatting import mean_of


@dataclass
class Progress:
    """How far a run that is under way has come."""

    steps: int
    step: int = 0
    updating_since: tuple[int, float] | None = (
        None  # step and time of the first update of this process, compilation over
    )
    compiling: bool = False  # the first update of this process is under way, and may take a while
    episode: int = 0
    wall_time: float = 0.0
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    evaluation: tuple[int, float, float] | None = None  # step, mean and standard deviation of the return
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def speed(self) -> float | None:
        """Environment steps per second since the first update; None before it can be told."""
        if self.updating_since is None:
            return None
        step, since = self.updating_since
        elapsed = time.perf_counter() - since
        return (self.step - step) / elapsed if elapsed > 1 and self.step > step else None


class Display(Protocol):
    """Where progress goes."""

    def update(self, progress: Progress) -> None:
        """Called about every half second."""

    def evaluated(self, progress: Progress) -> None:
        """Called after each evaluation."""

    def say(self, message: str) -> None:
        """A line that must not get lost."""


def combined(parts: Sequence[Progress]) -> Progress:
    """The progress of runs that are at the same step: returns, evaluations and diagnostics are means over them."""
    first = parts[0]
    if len(parts) == 1:
        return first
    pairs = zip(*(reversed(part.returns) for part in parts), strict=False)
    returns = deque([mean_of(values) for values in pairs][::-1], maxlen=first.returns.maxlen)
    played = [part.evaluation for part in parts if part.evaluation]
    evaluation = (played[0][0], mean_of([e[1] for e in played]), mean_of([e[2] for e in played])) if played else None
    metrics = {
        name: mean_of([part.metrics.get(name, value) for part in parts]) for name, value in first.metrics.items()
    }
    return Progress(
        steps=first.steps,
        step=first.step,
        updating_since=first.updating_since,
        compiling=first.compiling,
        episode=sum(part.episode for part in parts),
        wall_time=first.wall_time,
        returns=returns,
        evaluation=evaluation,
        metrics=metrics,
    )
