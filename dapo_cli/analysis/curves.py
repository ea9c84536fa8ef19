"""Learning curves: runs grouped into lines, each with its mean over the runs and a band, at every environment step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.analysis import labels, series
from dapo_cli.analysis.labels import Key, Label
from dapo_cli.analysis.selection import Choice, Record, select
from dapo_cli.analysis.series import Series
from dapo_cli.analysis.statistics import SMALLEST_SAMPLE, t_quantile
from dapo_cli.errors import BadInput
from store import settings

if TYPE_CHECKING:
    from store.session import Database

Floats = NDArray[np.float64]

CI, STD, MINMAX, NO_BAND = "ci", "std", "minmax", "none"
KEYS = ("env", "algo")


@dataclass(frozen=True)
class Curve:
    """One line: arrays (k,) over the steps that its runs recorded.

    `count` is how many of the n runs reach a step; `mean`, `low` and `high` are over those, NaN where they have a value
    that is not finite (and where `count` is too small for the band).
    """

    env: Key
    label: Label  # of the keys but env
    series: tuple[Series, ...]
    band: str
    window: int | None
    steps: NDArray[np.int64]
    count: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.series)


@dataclass(frozen=True)
class Curves:
    """All lines of a figure, by environment, then by label, both sorted as `dapo compare` sorts them."""

    quantity: str
    keys: tuple[str, ...]  # of the labels: algo and what was asked for
    symbols: Mapping[str, str]  # of hyperparameters: name -> as in the papers
    lines: tuple[Curve, ...]
    remarks: tuple[str, ...]  # on the choice of the runs

    @cached_property
    def envs(self) -> list[Key]:
        """The environments, one panel each."""
        return list(dict.fromkeys(curve.env for curve in self.lines))

    @cached_property
    def labels(self) -> list[Label]:
        """The different labels: a label looks the same in every panel."""
        return sorted({curve.label for curve in self.lines}, key=labels.label_order)

    def records(self) -> list[dict[str, Any]]:
        """One object a line: its keys, what was drawn, and lists `step`, `n`, `mean`, `low`, `high` of one length."""
        return [
            {
                "env": curve.env,
                **dict(zip(self.keys, curve.label, strict=True)),
                "y": self.quantity,
                "window": curve.window,
                "band": curve.band,
                "runs": curve.n,
                "step": curve.steps.tolist(),
                "n": curve.count.tolist(),
                **{name: getattr(curve, name).tolist() for name in ("mean", "low", "high")},
            }
            for curve in self.lines
        ]

    def notes(self) -> list[str]:
        """What a reader must know before believing the lines."""
        notes = list(self.remarks)
        if thin := sum(bool((curve.count < curve.n).any()) for curve in self.lines):
            notes.append(f"{_lines(thin)} drawn thin where fewer runs than n have a value")
        if broken := sum(bool(np.isnan(curve.mean).any()) for curve in self.lines):
            notes.append(f"{_lines(broken)} interrupted where a run has a value that is not finite")
        return notes


def collect(
    database: Database,
    choice: Choice,
    *,
    quantity: str = series.RETURN,
    by: Sequence[str] = (),
    band: str = CI,
    window: int | None = None,
) -> Curves:
    """The curves of the runs of a choice.

    A line is a value of the keys env, algo and `by`. `quantity` is as in `series.read`; `window` (environment steps)
    averages training returns, by default about a fiftieth of the longest run of a panel, and diagnostics, by default
    not at all. `band` is "ci", "std", "minmax" or "none". A run that diverged is drawn as far as it came. Raises
    BadInput where nothing is left to draw.
    """
    if window is not None and quantity == series.RETURN:
        raise BadInput("--window: evaluations are not averaged over steps: leave it out, or draw --y train-return")
    keys = [*KEYS, *(key for key in by if key not in KEYS)]
    chosen = select(database, choice)
    recorded = series.read(database, [run["id"] for run in chosen.runs], quantity)
    missing = "an evaluation" if quantity == series.RETURN else quantity
    without = {run["id"]: f"{run['status']} without {missing}" for run in chosen.runs if run["id"] not in recorded}
    chosen = chosen.without(without)
    if not chosen.runs:
        reasons = "".join(f" ({note})" for note in chosen.notes())
        raise BadInput(f"no run to draw{reasons}: see what there is with dapo runs")
    chosen.check_keys("--by", keys)
    groups = labels.group(chosen.runs, keys)
    windows = _windows(chosen.runs, quantity, window)
    lines = [
        _curve(label, [_smoothed(recorded[run["id"]], run, windows.get(label[0])) for run in runs], band, windows)
        for label, runs in sorted(groups.items(), key=lambda item: labels.label_order(item[0]))
    ]
    return Curves(
        quantity=quantity,
        keys=tuple(keys[1:]),
        symbols=settings.symbols(database, keys),
        lines=tuple(lines),
        remarks=(*labels.sharing_notes(groups.values(), "line"), *_unfinished(chosen.runs), *chosen.notes()),
    )


def bounds(values: Floats, reached: NDArray[np.bool_], band: str) -> tuple[Floats, Floats, Floats]:
    """Mean and band (each (k,)) of values (n, k) over the runs that reach a step; see `Curve`.

    The order of the runs does not change a bit.
    """
    count = reached.sum(axis=0)
    known = np.sort(np.where(reached, values, np.nan), axis=0)  # one order of summation
    broken = (reached & ~np.isfinite(values)).any(axis=0)
    with np.errstate(all="ignore"):  # what is not finite in the end is NaN
        mean = np.nansum(known, axis=0) / count
        std = np.sqrt(np.nansum((known - mean) ** 2, axis=0) / (count - 1))
        if band == CI:
            factors = {int(n): t_quantile(int(n) - 1) for n in np.unique(count) if n >= SMALLEST_SAMPLE}
            half = np.array([factors.get(n, np.nan) for n in count.tolist()]) * std / np.sqrt(count)
        elif band == STD:
            half = np.where(count >= 2, std, np.nan)
        else:
            half = np.full(mean.shape, np.nan)
        low, high = mean - half, mean + half
        if band == MINMAX:
            low = np.where(count >= 2, np.where(reached, values, np.inf).min(axis=0), np.nan)
            high = np.where(count >= 2, np.where(reached, values, -np.inf).max(axis=0), np.nan)
    unknown = broken | ~np.isfinite(mean)
    mean, low, high = (np.where(unknown | ~np.isfinite(one), np.nan, one) for one in (mean, low, high))
    return mean, low, high


def band_of(band: str, n: int) -> str:
    """The band that a line of n runs has where `band` is asked for: two runs have no interval, one has no band."""
    if n < 2:
        return NO_BAND
    return MINMAX if band == CI and n < SMALLEST_SAMPLE else band


def _curve(label: Label, own: Sequence[Series], band: str, windows: Mapping[Key, int]) -> Curve:
    steps, values, reached = series.aligned(own)
    kind = band_of(band, len(own))
    mean, low, high = bounds(values, reached, kind)
    window = windows.get(label[0])
    return Curve(label[0], label[1:], tuple(own), kind, window, steps, reached.sum(axis=0), mean, low, high)


def _windows(runs: Sequence[Record], quantity: str, window: int | None) -> dict[Key, int]:
    """The width of the windows in each environment; empty where values are drawn as recorded."""
    longest: dict[Key, int] = {}
    for run in runs:
        longest[run["env"]] = max(longest.get(run["env"], 1), run["step"])
    if window is not None:
        series.check_window(window, max(longest.values()))
        return dict.fromkeys(longest, window)
    if quantity != series.TRAIN_RETURN:
        return {}
    return {env: series.default_window(steps) for env, steps in longest.items()}


def _smoothed(own: Series, run: Record, window: int | None) -> Series:
    return own if window is None else series.windowed(own, window, max(run["step"], int(own.steps[-1])))


def _unfinished(runs: Sequence[Record]) -> list[str]:
    states = Counter(run["status"] for run in runs if run["status"] != "completed")
    if not states:
        return []
    reasons = ", ".join(f"{count} {status}" for status, count in sorted(states.items()))
    return [f"{states.total()} of the runs drawn {'is' if states.total() == 1 else 'are'} not completed: {reasons}"]


def _lines(count: int) -> str:
    return "1 line is" if count == 1 else f"{count} lines are"
