"""Learning curves as a figure: a panel for each environment, a line and its band for each label, what they mean below.

Where fewer runs than a line's n have a value, the line goes on thin and its band pale, from an open circle: a mean that
loses runs may jump without anything having been learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.analysis.curves import learning_curves as kinds
from dapo_cli.analysis.curves.learning_curves import Curve, Curves
from dapo_cli.analysis.curves.series import RETURN, TRAIN_RETURN
from dapo_cli.analysis.export.captions import STATISTIC_NAMES
from dapo_cli.analysis.selection.labels import Key, Label, key_text
from dapo_cli.figures import layout, style, words
from dapo_cli.figures.layout import Paper
from dapo_cli.terminal.formatting import general_text, number_text, steps_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXIS_TEXTS = {RETURN: "evaluation return", TRAIN_RETURN: "training return"}

_THIN = 0.6  # points
_BAND, _PALE = 0.2, 0.08  # opacity


def plot(curves: Curves, *, runs: bool = False) -> words.Plot:
    """The figure of these curves, `runs` with a faint line for each run."""
    rows = []
    for curve in curves.lines:
        first, last = (steps_text(choose(int(one.steps[-1]) for one in curve.series)) for choose in (min, max))
        steps = last if first == last else f"{first} to {last}"
        labels = [key_text(value) for value in (curve.env, *curve.label)]
        rows.append((*labels, str(curve.n), steps, number_text(float(curve.value[-1])), curve.band))
    right = ("n", "steps", f"last {curves.statistic}")
    notes = curves.notes()
    return words.Plot(
        header=("env", *curves.keys, *right, "band"),
        rows=rows,
        right=right,
        records=curves.records(),
        caption=" ".join([explanation(curves, runs=runs), *(f"{note[0].upper()}{note[1:]}." for note in notes)]),
        notes=notes,
        draw=lambda paper: draw(curves, paper, runs=runs),
    )


def draw(curves: Curves, paper: Paper = Paper(), *, runs: bool = False) -> Figure:  # noqa: B008 (immutable)
    """The figure; raises BadInput for too many lines."""
    style.check_lines(len(curves.labels))
    grid = layout.grid_of(len(curves.envs), paper)
    figure, panels = layout.panels_of(grid, len(curves.envs))
    looks = {label: style.line_look(index) for index, label in enumerate(curves.labels)}
    unit, unit_text = unit_of(max(float(curve.steps[-1]) for curve in curves.lines))
    for panel, (env, own) in zip(panels, _panels(curves).items(), strict=True):
        _draw_panel(panel, own, looks, unit, runs)
        numbers = _needs_numbers(curves, own)
        layout.title(panel, key_text(env), grid, pad=11 if numbers else 5)
        if numbers:
            text = f"n = {_numbers(own)}"
            panel.text(0.5, 1.01, text, transform=panel.transAxes, size=style.SMALL, ha="center", va="bottom")
    name = AXIS_TEXTS.get(curves.quantity, curves.quantity)
    layout.name_axes(panels, grid, f"environment steps{unit_text}", name)
    handles = [_handle(looks[label], label, curves) for label in curves.labels]
    caption = plot(curves, runs=runs).caption if paper.caption else ""
    layout.put_below(figure, handles, list(line_texts(curves).values()), caption)
    return figure


def unit_of(largest: float) -> tuple[int, str]:
    """The unit of an axis of steps that ends at `largest`, and what the axis says of it."""
    for unit, text in ((10**9, "10⁹"), (10**6, "10⁶"), (10**3, "10³")):
        if largest >= unit:
            return unit, f" (×{text})"
    return 1, ""


def line_texts(curves: Curves) -> dict[Label, str]:
    """What the legend says of each label: the keys in which labels differ, and n where lines differ in it."""
    counts = _counts(curves)
    texts = words.names(curves.labels, curves.keys, curves.symbols)
    if len(set().union(*counts.values())) == 1:
        return texts
    return {label: f"{text} ({words.count_text(sorted(counts[label]))})" for label, text in texts.items()}


def explanation(curves: Curves, *, runs: bool = False) -> str:
    """What the lines and bands of the figure mean, in one paragraph."""
    shared = words.shared(curves.labels, curves.keys, curves.symbols)
    counts = set().union(*_counts(curves).values())
    number = f"n = {min(counts)} runs" if len(counts) == 1 else "n runs"
    single = counts == {1}
    sentences = [f"All lines: {shared}."] if shared else []
    name = STATISTIC_NAMES[curves.statistic]
    sentences.append("One run a line" if single else f"Lines: {name} of {number}")
    if curves.statistic == "iqm" and any((curve.count < 4).any() for curve in curves.lines) and not single:
        sentences[-1] += " (fewer than 4: mean)"
    if windows := sorted({curve.window for curve in curves.lines if curve.window is not None}):
        sentences[-1] += f" in windows of {' or '.join(map(steps_text, windows))} steps"
    texts = band_texts(curves.statistic)
    bands: dict[str, set[int]] = {}
    for curve in curves.lines:
        bands.setdefault(curve.band, set()).add(curve.n)
    bands.pop(kinds.NO_BAND, None)
    if bands:
        main, *others = sorted(bands, key=list(texts).index)
        sentences[-1] += f"; bands: {texts[main]}"
        sentences[-1] += "".join(f"; for {words.count_text(sorted(bands[band]))} {texts[band]}" for band in others)
    sentences[-1] += "."
    if any((curve.count < curve.n).any() for curve in curves.lines):
        sentences.append("Thin, from a circle on: fewer than n runs.")
    if any(any(curve.diverged) for curve in curves.lines):
        sentences.append("×: where a run diverged.")
    if any("," in _numbers(own) for own in _panels(curves).values() if _needs_numbers(curves, own)):
        sentences.append("n over a panel: in the order of the legend.")
    if runs and not single:
        sentences.append("Faint: single runs.")
    return " ".join(sentences)


def band_texts(statistic: str) -> dict[str, str]:
    """What each kind of band is."""
    interval = "order-statistic" if statistic == "median" else "Student t"
    return {
        kinds.CI: f"pointwise 95 % {interval} interval of the {STATISTIC_NAMES[statistic]}",
        kinds.STD: "pointwise, mean ± standard deviation of the runs",
        kinds.MINMAX: "pointwise, from the lowest run to the highest",
    }


def _draw_panel(panel: Axes, own: list[Curve], looks: dict[Label, dict[str, Any]], unit: int, runs: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for curve in own:
        look = looks[curve.label]
        if runs and curve.n > 1:
            for one in curve.series:
                panel.plot(one.steps, one.values, color=look["color"], linewidth=0.4, alpha=0.5, zorder=1.5)
        _draw_curve(panel, curve, look)
    panel.set_xlim(0, max(float(curve.steps[-1]) for curve in own) * 1.02)
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=style.ROUND))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda step, _: general_text(step / unit, 6)))
    panel.yaxis.set_major_locator(MaxNLocator(5, steps=style.ROUND))


def _draw_curve(panel: Axes, curve: Curve, look: dict[str, Any]) -> None:
    full = curve.count == curve.n
    # The thin line begins at the last step that all runs reach, so that nothing is left out between the two.
    thin = ~full | _beside(~full)
    for shown, width, opacity in ((full, None, _BAND), (thin, _THIN, _PALE)):
        mean, low, high = (np.where(shown, one, np.nan) for one in (curve.value, curve.low, curve.high))
        panel.plot(curve.steps, mean, linewidth=width, zorder=3, **look)
        panel.fill_between(curve.steps, low, high, color=look["color"], alpha=opacity, linewidth=0, zorder=2)
        alone = np.isfinite(mean) & ~_beside(np.isfinite(mean))  # a line of one point would not be seen
        for index in np.flatnonzero(alone).tolist():
            panel.plot(curve.steps[index], mean[index], "o", color=look["color"], markersize=3, zorder=3)
            panel.vlines(curve.steps[index], low[index], high[index], colors=look["color"], linewidth=0.8)
    begins = full & _beside(~full)
    circle = {"markersize": 3.2, "markerfacecolor": "white", "markeredgecolor": look["color"], "markeredgewidth": 0.8}
    panel.plot(curve.steps[begins], curve.value[begins], "o", zorder=3.5, **circle)
    for one, diverged in zip(curve.series, curve.diverged, strict=True):
        known = np.flatnonzero(np.isfinite(one.values))
        if diverged and len(known):
            end = known[-1]
            panel.plot(one.steps[end], one.values[end], "x", color=look["color"], markersize=4, zorder=3.6)


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


def _handle(look: dict[str, Any], label: Label, curves: Curves) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = Line2D([], [], **look)
    if all(curve.band == kinds.NO_BAND for curve in curves.lines if curve.label == label):
        return line
    return (Patch(facecolor=look["color"], alpha=_BAND, linewidth=0), line)
