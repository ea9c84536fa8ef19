"""What runs recorded over environment steps, as one series a run: evaluations, training returns, diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dapo_cli.errors import BadInput, did_you_mean
from store import frames
from store.records import summaries

if TYPE_CHECKING:
    from store.session import Database

RETURN = "return"
TRAIN_RETURN = "train-return"

_WINDOWS = 50  # by default this many over the longest run, or a few less
_MOST_WINDOWS = 5000  # more cannot be seen in a figure, and take minutes


@dataclass(frozen=True)
class Series:
    """Values (k,) at increasing environment steps (k,), k >= 1. A value may be other than finite."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


def read(database: Database, ids: Sequence[str], quantity: str) -> dict[str, Series]:
    """The series of each of these runs that recorded the quantity, as recorded: run id -> series.

    "return" is the mean return of each evaluation, played with mean actions; "train-return" the return of each training
    episode at the step at which it ended; any other name is a diagnostic. Raises BadInput where no run has that.
    """
    if quantity == RETURN:
        evaluations = frames.evaluations(database, ids)
        played = evaluations[evaluations["actions"] == "mean"].groupby(["run_id", "step"])["return"]
        return _by_run(played.mean(skipna=False).rename("value").reset_index())
    if quantity == TRAIN_RETURN:
        return _by_run(frames.episodes(database, ids).rename(columns={"return": "value"}))
    series = _by_run(frames.metrics(database, ids, [quantity]))
    if not series and ids:
        known = [RETURN, TRAIN_RETURN, *summaries.metric_names(database, ids)]
        raise BadInput(f"--y: no run recorded '{quantity}': {did_you_mean(quantity, known)}")
    return series


def default_window(longest: int) -> int:
    """The width of training windows where none is asked for: 1, 2 or 5 times a power of ten, about longest / 50."""
    wanted = max(longest / _WINDOWS, 1.0)
    power = 10 ** int(np.log10(wanted))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted))


def check_window(window: int, longest: int) -> None:
    """Raise BadInput for a window that is no width, or so narrow that a run would have thousands of them."""
    if window < 1:
        raise BadInput(f"--window: {window} is not a width: give a number of environment steps, such as 10000")
    if longest / window > _MOST_WINDOWS:
        least = -(-longest // _MOST_WINDOWS)
        raise BadInput(f"--window: {window} cuts {longest} steps into more than {_MOST_WINDOWS}: give at least {least}")


def windowed(series: Series, window: int, end: int) -> Series:
    """Means over the last `window` steps, at every multiple of `window` up to `end`, and at `end` itself.

    A window in which nothing was recorded has the value of the one before; those before the first value are left out.
    """
    ends = np.arange(window, end + window, window)
    ends = np.minimum(ends, end)
    first = np.searchsorted(series.steps, ends - window, side="right")
    last = np.searchsorted(series.steps, ends, side="right")
    steps: list[int] = []
    values: list[float] = []
    for step, low, high in zip(ends.tolist(), first.tolist(), last.tolist(), strict=True):
        if high > low:
            values.append(float(np.mean(series.values[low:high])))
        elif values:
            values.append(values[-1])
        else:
            continue
        steps.append(step)
    return Series(np.array(steps, dtype=np.int64), np.array(values))


def aligned(series: Sequence[Series]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Series on the union of their steps: steps (k,), values (n, k), and whether a run reaches a step (n, k).

    Between two of its own steps a run is interpolated linearly; before its first and after its last it has no value.
    What is not finite is NaN.
    """
    steps = np.unique(np.concatenate([one.steps for one in series]))
    values = np.full((len(series), len(steps)), np.nan)
    reached = np.zeros(values.shape, dtype=bool)
    for row, one in enumerate(series):
        inside = (steps >= one.steps[0]) & (steps <= one.steps[-1])
        own = np.where(np.isfinite(one.values), one.values, np.nan)
        values[row, inside] = np.interp(steps[inside], one.steps, own)
        reached[row] = inside
    return steps, values, reached


def _by_run(frame: pd.DataFrame) -> dict[str, Series]:
    ordered = frame.sort_values(["run_id", "step"], kind="stable")
    return {
        str(run_id): Series(rows["step"].to_numpy(np.int64), rows["value"].to_numpy(np.float64))
        for run_id, rows in ordered.groupby("run_id")
    }
