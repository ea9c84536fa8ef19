"""Scores against a hyperparameter as a figure: a panel an environment, a line a label, points with bars."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.sensitivity import Line, Sensitivity, is_logarithmic
from dapo_cli.analysis.export.captions import STATISTIC_NAMES
from dapo_cli.analysis.selection.labels import Key, key_text
from dapo_cli.figures import layout, style, words
from dapo_cli.figures.layout import Paper
from dapo_cli.statistics.estimates import SMALLEST_IQM
from dapo_cli.terminal.formatting import general_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_APART, _TOGETHER = 2.2, 14.0  # points between the bars of lines at the same value; of all of them at most


def plot(numbers: Sensitivity) -> words.Plot:
    """The figure of these lines."""
    table, estimates = numbers.table, _estimates(numbers)
    right = (numbers.x, "n", table.request.statistic, "95 % interval")
    rows = [
        (
            *map(key_text, (line.env, *line.label)),
            general_text(point.x, 6),
            str(point.cell.estimate.n),
            cell_text.value_text(table, point.cell),
            cell_text.interval_text(table, point.cell.estimate),
            "default" if point.default else "",
            cell_text.mark_text(point.cell),
        )
        for line in numbers.lines
        for point in line.points
    ]
    counts = {estimate.n for estimate in estimates}
    shared = words.shared(numbers.labels, numbers.keys, table.symbols)
    name = words.score_name(table)
    sentences = [f"All lines: {shared}."] if shared else []
    what = (
        "one run"
        if counts == {1}
        else f"{STATISTIC_NAMES[table.request.statistic]} of n = {_usual_number(numbers)} runs"
    )
    if table.request.statistic == "iqm" and min(counts) < SMALLEST_IQM:
        what += " (fewer than 4: mean)"
    marked = ", where nothing else stands" if len(counts) > 1 else ""
    sentences.append(f"{name[0].upper()}{name[1:]} against {_symbol(numbers)}: {what} a point{marked}.")
    sentences += [*words.score_sentences(table), *words.interval_sentence(table, estimates)]
    if _rings(numbers):
        sentences.append("Ringed: the default.")
    sentences += [*words.closing_sentences(table), *(f"{note}." for note in numbers.notes)]
    return words.Plot(
        header=("env", *numbers.keys, *right, "", "notes"),
        rows=rows,
        right=right,
        records=numbers.records(),
        caption=" ".join(sentences),
        notes=[*table.notes, *numbers.notes],
        draw=lambda paper: draw(numbers, paper, " ".join(sentences)),
    )


def draw(numbers: Sensitivity, paper: Paper, caption: str) -> Figure:
    """The figure; raises BadInput for too many lines."""
    from matplotlib.lines import Line2D

    style.check_lines(len(numbers.labels))
    envs: list[Key] = list(dict.fromkeys(line.env for line in numbers.lines))
    grid = layout.grid_of(len(envs), paper)
    figure, panels = layout.panels_of(grid, len(envs))
    names = words.names(numbers.labels, numbers.keys, numbers.table.symbols)
    looks = {
        label: {**style.line_look(index), "marker": style.MARKERS[index % len(style.MARKERS)], "markersize": 3.5}
        for index, label in enumerate(names)
    }
    logarithmic = is_logarithmic([point.x for line in numbers.lines for point in line.points])
    for panel, env in zip(panels, envs, strict=True):
        if logarithmic:
            panel.set_xscale("log")
        own = [line for line in numbers.lines if line.env == env]
        for index, line in enumerate(own):
            apart = min(_APART, _TOGETHER / len(own))
            _draw_line(panel, numbers, line, looks[line.label], (index - (len(own) - 1) / 2) * apart)
        layout.title(panel, key_text(env), grid)
        values = sorted({point.x for line in own for point in line.points})
        _mark_axes(panel, values, logarithmic, grid.width - 0.7)
    layout.name_axes(panels, grid, _symbol(numbers), words.score_name(numbers.table))
    handles = [Line2D([], [], linewidth=1, **looks[label]) for label in names]
    layout.put_below(
        figure,
        handles if len(names) > 1 else [],
        list(names.values()) if len(names) > 1 else [],
        caption if paper.caption else "",
    )
    return figure


def _draw_line(panel: Axes, numbers: Sensitivity, line: Line, look: dict[str, Any], shift: float) -> None:
    """Shifted by points, so that the bars of several lines at one value are seen."""
    from matplotlib.transforms import ScaledTranslation

    place = panel.transData + ScaledTranslation(shift / 72, 0, panel.figure.dpi_scale_trans)
    drawn = [point for point in line.points if point.drawn]
    xs, ys = [point.x for point in drawn], [point.cell.estimate.value for point in drawn]
    panel.plot(xs, ys, transform=place, linewidth=1, zorder=3, **look)
    bars = {"colors": look["color"], "linewidth": 0.9, "transform": place, "zorder": 2.5}
    lows, highs = [point.cell.estimate.low for point in drawn], [point.cell.estimate.high for point in drawn]
    panel.vlines(xs, lows, highs, **bars)
    panel.update_datalim([(x, y) for point in drawn for x, y in _corners(point.x, point.cell.estimate)])
    usual = _usual_number(numbers)
    for point in drawn:
        estimate = point.cell.estimate
        if point.default and _rings(numbers):
            ring = {"markersize": 7, "markerfacecolor": "none", "markeredgecolor": look["color"]}
            panel.plot(point.x, estimate.value, "o", transform=place, markeredgewidth=0.8, zorder=3.5, **ring)
        texts = [f"n = {estimate.n}"] * (estimate.n != usual) + [cell_text.mark_text(point.cell)] * bool(
            point.cell.marks
        )
        if texts:
            top = estimate.high if math.isfinite(estimate.high) else estimate.value
            text = ", ".join(texts)
            offset: Any = {"xytext": (shift, 4), "textcoords": "offset points", "ha": "center", "size": 5.5}
            panel.annotate(text, (point.x, top), color=look["color"], **offset)
    panel.autoscale_view()


def _corners(x: float, estimate: Any) -> list[tuple[float, float]]:
    """What the axes must show of a point."""
    return [(x, y) for y in (estimate.low, estimate.high, estimate.value) if math.isfinite(y)]


def _mark_axes(panel: Axes, values: list[float], logarithmic: bool, width: float) -> None:
    """Ticks at the values themselves, and numbers at those for which there is room in `width` inches."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    panel.margins(x=0.08, y=0.1)
    panel.yaxis.set_major_locator(MaxNLocator(5, steps=style.ROUND))
    places = [math.log(value) for value in values] if logarithmic else values
    scale = width / ((places[-1] - places[0]) or 1.0)
    texts, free = [], -math.inf
    for value, place in zip(values, places, strict=True):
        half = layout.text_width(general_text(value, 6), style.NORMAL) / 2 + 0.03
        fits = place * scale - half >= free
        texts.append(general_text(value, 6) if fits else "")
        free = place * scale + half if fits else free
    panel.set_xticks(values, texts)
    panel.xaxis.set_minor_locator(NullLocator())


def _usual_number(numbers: Sensitivity) -> int:
    """The number of runs of most points."""
    return int(Counter(estimate.n for estimate in _estimates(numbers)).most_common(1)[0][0])


def _rings(numbers: Sensitivity) -> bool:
    """Whether the default is worth a mark: some points have it, some not."""
    return len({point.default for line in numbers.lines for point in line.points}) == 2


def _estimates(numbers: Sensitivity) -> list[Any]:
    return [point.cell.estimate for line in numbers.lines for point in line.points]


def _symbol(numbers: Sensitivity) -> str:
    return numbers.table.symbols.get(numbers.x, numbers.x)
