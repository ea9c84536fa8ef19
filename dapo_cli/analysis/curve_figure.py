"""Learning curves as a figure: a panel for each environment, a line and its band for each label, what they mean below.

Where fewer runs than a line's n have a value, the line goes on thin and its band pale, from an open circle: a mean that
loses runs may jump without anything having been learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.analysis import curves as kinds
from dapo_cli.analysis import figures
from dapo_cli.analysis.curves import Curve, Curves
from dapo_cli.analysis.series import RETURN, TRAIN_RETURN
from dapo_cli.analysis.labels import Key, Label, key_text, label_text
from dapo_cli.console import visible
from dapo_cli.display import steps_text
from dapo_cli.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_TEXTS = {
    kinds.CI: "pointwise 95 % Student t interval of the mean",
    kinds.STD: "pointwise, mean ± standard deviation of the runs",
    kinds.MINMAX: "pointwise, from the lowest run to the highest",
}
AXIS_TEXTS = {RETURN: "evaluation return", TRAIN_RETURN: "training return"}

_ROUND = [1, 2, 2.5, 5, 10]  # numbers for ticks
_THIN = 0.6  # points
_BAND, _PALE = 0.2, 0.08  # opacity


def draw(curves: Curves, *, runs: bool = False) -> Figure:
    """The figure of these curves, `runs` with a faint line for each run; raises BadInput for too many lines."""
    from matplotlib.figure import Figure

    if len(curves.labels) > figures.MOST_LINES:
        raise BadInput(
            f"--by: {len(curves.labels)} lines cannot be told apart in one figure: "
            f"choose at most {figures.MOST_LINES} with --where, or fewer keys"
        )
    rows, columns, width, height = figures.grid_of(len(curves.envs))
    figure = Figure(figsize=(columns * width, rows * height + 0.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    looks = {label: figures.line_look(index) for index, label in enumerate(curves.labels)}
    unit, unit_text = figures.unit_of(max(float(curve.steps[-1]) for curve in curves.lines))
    panels = grid.ravel().tolist()
    for panel, (env, own) in zip(panels, _panels(curves).items(), strict=False):
        _draw_panel(panel, own, looks, unit, runs)
        numbers = _needs_numbers(curves, own)
        panel.set_title(figures.wrapped(visible(key_text(env)), 8, width - 0.3), pad=11 if numbers else 5)
        if numbers:
            text = f"n = {_numbers(own)}"
            panel.text(0.5, 1.01, text, transform=panel.transAxes, size=figures.SMALL, ha="center", va="bottom")
    for index, panel in enumerate(panels):
        if index >= len(curves.envs):
            panel.remove()
            continue
        if index + columns >= len(curves.envs):  # nothing below it
            panel.set_xlabel(f"environment steps{unit_text}")
        if index % columns == 0:
            panel.set_ylabel(visible(AXIS_TEXTS.get(curves.quantity, curves.quantity)))
    figures.put_below(
        figure,
        [_handle(looks[label], label, curves) for label in curves.labels],
        [visible(text) for text in line_texts(curves).values()],
        visible(explanation(curves, runs=runs)),
    )
    return figure


def line_texts(curves: Curves) -> dict[Label, str]:
    """What the legend says of each label: the keys in which labels differ, and n where lines differ in it."""
    varying = {index for index in range(len(curves.keys)) if len({label[index] for label in curves.labels}) > 1}
    shown = varying or {0}
    counts = _counts(curves)
    several = len(set().union(*counts.values())) > 1
    texts = {}
    for label in curves.labels:
        parts = [_part(curves, index, label[index]) for index in sorted(shown) if label[index] is not None]
        text = ", ".join(parts) or f"no {', '.join(curves.keys[index] for index in sorted(shown))}"
        low, high = min(counts[label]), max(counts[label])
        texts[label] = f"{text} (n = {low if low == high else f'{low}–{high}'})" if several else text
    return texts


def explanation(curves: Curves, *, runs: bool = False) -> str:
    """What the lines and bands of the figure mean, in one paragraph."""
    shared = [
        _part(curves, index, curves.labels[0][index])
        for index in range(len(curves.keys))
        if len(curves.labels) > 1 and len({label[index] for label in curves.labels}) == 1
    ]
    counts = set().union(*_counts(curves).values())
    number = f"n = {min(counts)} runs" if len(counts) == 1 else "n runs"
    single = counts == {1}
    sentences = [f"All lines: {', '.join(shared)}."] if shared else []
    sentences.append("One run a line" if single else f"Lines: mean of {number}")
    if windows := sorted({curve.window for curve in curves.lines if curve.window is not None}):
        sentences[-1] += f" in windows of {' or '.join(map(steps_text, windows))} steps"
    bands = {curve.band: curve for curve in curves.lines if curve.band != kinds.NO_BAND}
    if bands:
        main, *others = sorted(bands, key=list(BAND_TEXTS).index)
        sentences[-1] += f"; bands: {BAND_TEXTS[main]}"
        sentences[-1] += "".join(f"; for n = {bands[other].n} {BAND_TEXTS[other]}" for other in others)
    sentences[-1] += "."
    if any((curve.count < curve.n).any() for curve in curves.lines):
        sentences.append("Thin, from a circle on: fewer than n runs.")
    if any("," in _numbers(own) for own in _panels(curves).values() if _needs_numbers(curves, own)):
        sentences.append("n over a panel: in the order of the legend.")
    if runs and not single:
        sentences.append("Faint: single runs.")
    return " ".join(sentences)


def _draw_panel(panel: Axes, own: list[Curve], looks: dict[Label, dict[str, Any]], unit: int, runs: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for curve in own:
        look = looks[curve.label]
        if runs and curve.n > 1:
            for one in curve.series:
                panel.plot(one.steps, one.values, color=look["color"], linewidth=0.4, alpha=0.5, zorder=1.5)
        _draw_curve(panel, curve, look)
    panel.set_xlim(0, max(float(curve.steps[-1]) for curve in own) * 1.02)
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / unit:g}"))
    panel.yaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))


def _draw_curve(panel: Axes, curve: Curve, look: dict[str, Any]) -> None:
    full = curve.count == curve.n
    # The thin line begins at the last step that all runs reach, so that nothing is left out between the two.
    thin = ~full | _beside(~full)
    for shown, width, opacity in ((full, None, _BAND), (thin, _THIN, _PALE)):
        mean, low, high = (np.where(shown, one, np.nan) for one in (curve.mean, curve.low, curve.high))
        panel.plot(curve.steps, mean, linewidth=width, zorder=3, **look)
        panel.fill_between(curve.steps, low, high, color=look["color"], alpha=opacity, linewidth=0, zorder=2)
        alone = np.isfinite(mean) & ~_beside(np.isfinite(mean))  # a line of one point would not be seen
        for index in np.flatnonzero(alone).tolist():
            panel.plot(curve.steps[index], mean[index], "o", color=look["color"], markersize=3, zorder=3)
            panel.vlines(curve.steps[index], low[index], high[index], colors=look["color"], linewidth=0.8)
    begins = full & _beside(~full)
    circle = {"markersize": 3.2, "markerfacecolor": "white", "markeredgecolor": look["color"], "markeredgewidth": 0.8}
    panel.plot(curve.steps[begins], curve.mean[begins], "o", zorder=3.5, **circle)


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the place before or after is true."""
    padded = np.pad(mask, 1)
    return np.logical_or(padded[:-2], padded[2:])


def _panels(curves: Curves) -> dict[Key, list[Curve]]:
    return {env: [curve for curve in curves.lines if curve.env == env] for env in curves.envs}


def _needs_numbers(curves: Curves, own: Sequence[Curve]) -> bool:
    """Whether the legend cannot say the number of runs of each line of a panel, as other panels have other numbers."""
    counts = _counts(curves)
    return any(len(counts[curve.label]) > 1 for curve in own)


def _numbers(own: Sequence[Curve]) -> str:
    """`4` where all lines of a panel have four runs, else `4, 3`, in the order of the legend."""
    counts = [str(curve.n) for curve in own]
    return counts[0] if len(set(counts)) == 1 else ", ".join(counts)


def _counts(curves: Curves) -> dict[Label, set[int]]:
    """The numbers of runs of each label, over the environments."""
    counts: dict[Label, set[int]] = {}
    for curve in curves.lines:
        counts.setdefault(curve.label, set()).add(curve.n)
    return counts


def _part(curves: Curves, index: int, value: Key) -> str:
    key = curves.keys[index]
    return label_text(key if key in ("algo", "tag") else curves.symbols.get(key, key), value)


def _handle(look: dict[str, Any], label: Label, curves: Curves) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = Line2D([], [], **look)
    if all(curve.band == kinds.NO_BAND for curve in curves.lines if curve.label == label):
        return line
    return (Patch(facecolor=look["color"], alpha=_BAND, linewidth=0), line)
