"""Learning curves: runs grouped into lines, each with a statistic of the runs and a band, at every environment step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.analysis.curves import series
from dapo_cli.analysis.curves.series import Series
from dapo_cli.analysis.selection import comparability, grouping, labels
from dapo_cli.analysis.selection.labels import Key, Label
from dapo_cli.analysis.selection.measures import FINAL, Measure
from dapo_cli.analysis.selection.selected import (
    SEE_RUNS,
    Choice,
    Record,
    count_text,
    select,
    without_evaluations,
)
from dapo_cli.errors import BadInput
from dapo_cli.statistics.estimates import SMALLEST_SAMPLE, applicable, estimate, t_quantile
from store.records import settings

if TYPE_CHECKING:
    from store.session import Database

Floats = NDArray[np.float64]

CI, STD, MINMAX, NO_BAND = "ci", "std", "minmax", "none"
SMALLEST_MEDIAN = 6  # runs: the median of fewer has no 95 % interval
KEYS = ("env", "algo")


@dataclass(frozen=True)
class Curve:
    """One line: arrays (k,) over the steps that its runs recorded.

    `count` is how many of the n runs reach a step; `value`, `low` and `high` are over those, NaN where they have a
    value that is not finite (and where `count` is too small for the band). `diverged`: which of the series end as the
    run's learning did.
    """

    env: Key
    label: Label  # of the keys but env
    series: tuple[Series, ...]
    seeds: tuple[int, ...]  # of the runs, as are the series
    diverged: tuple[bool, ...]
    band: str
    window: int | None
    steps: NDArray[np.int64]
    count: NDArray[np.int64]
    value: Floats
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
    statistic: str  # "mean", "median" or "iqm"
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
        """One object a line: its keys, and lists `step`, `n`, the statistic's name, `low`, `high` of one length."""
        return [
            {
                "env": curve.env,
                **dict(zip(self.keys, curve.label, strict=True)),
                "y": self.quantity,
                "window": curve.window,
                "band": curve.band,
                "runs": curve.n,
                "diverged": sum(curve.diverged),
                "step": curve.steps.tolist(),
                "n": curve.count.tolist(),
                self.statistic: curve.value.tolist(),
                "low": curve.low.tolist(),
                "high": curve.high.tolist(),
            }
            for curve in self.lines
        ]

    def notes(self) -> list[str]:
        """What a reader must know before believing the lines."""
        notes = list(self.remarks)
        if broken := sum(bool(np.isnan(curve.value).any()) for curve in self.lines):
            notes.append(f"{_lines(broken)} interrupted where a run has a value that is not finite")
        return notes


def collect(
    database: Database,
    choice: Choice,
    *,
    quantity: str = series.RETURN,
    by: Sequence[str] = (),
    pooled: Sequence[str] = (),
    statistic: str = "mean",
    band: str = CI,
    window: int | None = None,
    allow: Iterable[str] = (),
    strict: bool = False,
) -> Curves:
    """The curves of the runs of a choice.

    A line is a value of the keys env, algo and `by`, and of what else tells configurations apart but for `pooled` and
    the budget. `quantity` is as in `series.read`; `window` (environment steps) averages training returns, by default
    about a fiftieth of the longest run of a panel, and diagnostics, by default
    not at all. `band` is "ci", "std", "minmax" or "none". A run that diverged is drawn as far as it came; budgets may
    differ, as the curves show them. `allow` and `strict` as in `comparability.check`. Raises BadInput where nothing is
    left to draw, and for runs that must not be compared.
    """
    if window is not None and quantity == series.RETURN:
        raise BadInput("--window: evaluations are not averaged over steps: leave it out, or draw --y train-return")
    if statistic == "gap":
        raise BadInput("--stat: a curve has no optimality gap: choose mean, median or iqm")
    if band == STD and statistic != "mean":
        raise BadInput(f"--band: a standard deviation is about the mean: leave --stat {statistic} out, or draw another")
    keys = [*KEYS, *(key for key in by if key not in KEYS)]
    chosen = grouping.unique(database, select(database, choice))
    recorded = series.read(database, [run["id"] for run in chosen.runs], quantity)
    missing = "an evaluation" if quantity == series.RETURN else quantity
    without = {run["id"]: f"{run['status']} without {missing}" for run in chosen.runs if run["id"] not in recorded}
    chosen = chosen.without(without)
    if not chosen.runs:
        reasons = "".join(f" ({note})" for note in chosen.notes())
        raise BadInput(
            f"no run to draw{reasons}: {without_evaluations(chosen.notes(), '--y train-return') or SEE_RUNS}"
        )
    chosen.check_keys((*keys, *pooled))
    measure = Measure(FINAL if quantity == series.RETURN else "final-train")
    remarks = comparability.check(chosen.runs, measure, keys, allow={"steps", *allow}, strict=strict)
    split = grouping.split(chosen.runs, keys, (*pooled, "steps"))
    keys += split.names
    groups = split.group(chosen.runs, keys)
    windows = _windows(chosen.runs, quantity, window)
    lines = []
    for label, runs in sorted(groups.items(), key=lambda item: labels.label_order(item[0])):
        window_ = windows.get(label[0])
        own = [_smoothed(recorded[run["id"]], run, window_) for run in runs]
        lines.append(line_of(label, own, runs, statistic=statistic, band=band, window=window_))
    said = [
        *_of_runs(chosen.runs, remarks.of_runs),
        *dict.fromkeys(text for runs in groups.values() for text in grouping.execution_remarks(runs)),
        *dict.fromkeys(f"{label[1]}: {text}" for label, text in grouping.tuned_remarks(database, groups, keys).items()),
    ]
    if strict and said:
        raise BadInput(f"--strict: {'; '.join(said)}: choose runs of which nothing must be said, or leave it out")
    pooling = grouping.pooled_text(groups.values(), pooled)
    return Curves(
        quantity=quantity,
        statistic=statistic,
        keys=tuple(keys[1:]),
        symbols=settings.symbols(database, keys),
        lines=tuple(lines),
        remarks=(
            *([pooling] if pooling else []),
            *said,
            *grouping.narrowing_note(split, sorted({label[1:] for label in groups}, key=labels.label_order), keys[1:]),
            *remarks.general,
            *chosen.notes(),
        ),
    )


def line_of(
    label: Label,
    own: Sequence[Series],
    runs: Sequence[Record],
    *,
    statistic: str = "mean",
    band: str = CI,
    window: int | None = None,
) -> Curve:
    """The line of these runs, whose series are `own`; `label` begins with the environment."""
    steps, values, reached = series.aligned(own)
    kind = band_of(band, len(own), statistic)
    value, low, high = bounds(values, reached, kind, statistic)
    count = reached.sum(axis=0)
    seeds, diverged = tuple(run["seed"] for run in runs), tuple(run["status"] == "diverged" for run in runs)
    return Curve(label[0], label[1:], tuple(own), seeds, diverged, kind, window, steps, count, value, low, high)


def bounds(
    values: Floats, reached: NDArray[np.bool_], band: str, statistic: str = "mean"
) -> tuple[Floats, Floats, Floats]:
    """The statistic and its band (each (k,)) of values (n, k) over the runs that reach a step; see `Curve`.

    At each step they are those of `statistics.estimate`. The order of the runs does not change a bit.
    """
    count = reached.sum(axis=0)
    known = np.sort(np.where(reached & np.isfinite(values), values, np.nan), axis=0)  # NaN last
    complete = ~(reached & ~np.isfinite(values)).any(axis=0)
    result = np.full((3, values.shape[1]), np.nan)
    for n in np.unique(count[complete]).tolist():
        if n:
            columns = complete & (count == n)
            with np.errstate(all="ignore"):  # what is not finite in the end is NaN
                result[:, columns] = _summary(known[:n, columns], band, statistic)
    value, low, high = np.where(np.isfinite(result), result, np.nan)
    return value, low, high


def band_of(band: str, n: int, statistic: str = "mean") -> str:
    """The band that a line of n runs has where `band` is asked for: too few have no interval, one has no band."""
    if n < 2:
        return NO_BAND
    return MINMAX if band == CI and n < (SMALLEST_MEDIAN if statistic == "median" else SMALLEST_SAMPLE) else band


def _summary(values: Floats, band: str, statistic: str) -> tuple[Floats, Floats, Floats]:
    """Of values (n, k), sorted in each column."""
    n = len(values)
    used = applicable(statistic, n)
    cut = n // 4 if used == "iqm" else 0
    kept = values[cut : n - cut]
    value = np.median(values, axis=0) if used == "median" else kept.mean(axis=0)
    nothing = np.full(value.shape, np.nan)
    if band == MINMAX and n > 1:
        return value, values[0], values[-1]
    if band == CI and used == "median":
        ranks = estimate(range(n), "median")  # of the ranks: which of them bound the interval
        low, high = (nothing if np.isnan(rank) else values[int(rank)] for rank in (ranks.low, ranks.high))
        return value, low, high
    half = nothing
    if band == STD and n > 1:
        half = values.std(axis=0, ddof=1)
    elif band == CI and n >= SMALLEST_SAMPLE:
        winsorised = np.clip(values, kept[0], kept[-1])
        squares = ((winsorised - winsorised.mean(axis=0)) ** 2).sum(axis=0)
        half = t_quantile(len(kept) - 1) * np.sqrt(squares / (len(kept) * (len(kept) - 1)))
    return value, value - half, value + half


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


def _of_runs(runs: Sequence[Record], remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """What must be said of single runs: `1 of the runs drawn is not completed: 1 failed`."""
    states = Counter(run["status"] for run in runs if run["status"] != "completed")
    ended = [run["id"] for run in runs if run["status"] in ("completed", "diverged")]
    notes = [
        f"{count} of the runs drawn: {remark}"
        for remark, count in sorted(Counter(remark for id_ in ended for remark in remarks.get(id_, ())).items())
    ]
    if states:
        are = "is" if states.total() == 1 else "are"
        notes.insert(0, f"{states.total()} of the runs drawn {are} not completed: {count_text(states)}")
    return notes


def _lines(count: int) -> str:
    return "1 line is" if count == 1 else f"{count} lines are"
