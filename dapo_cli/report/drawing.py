"""Learning curves as SVG that stands by itself, and as the numbers that the page's script shows of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from dapo_cli.analysis.curves.learning_curves import Curve, Curves
from dapo_cli.analysis.selection.labels import Label, key_text, label_text
from dapo_cli.figures.curves import AXIS_TEXTS
from dapo_cli.figures.style import COLOURS, DASHES
from dapo_cli.terminal.formatting import general_text, steps_text

POINTS = 200  # of the curve of a single run
LINE_POINTS = 400  # of a line
MOST_RUNS = 1000  # single runs that a page holds

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 442, 10, 258  # of the axes
_STROKE = 2.0  # width of a line, in which dashes are measured
_DIGITS = 5  # significant ones of the numbers behind a figure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One environment: the drawing, and for the script its axes and its lines."""

    name: str
    svg: Markup
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Drawing:
    """All panels. `legend`: (number, name, colour, dashes) of each line; `grids`: the steps to which `data` refers."""

    panels: list[Panel]
    legend: list[tuple[int, str, int, str]]
    grids: list[list[int]]
    remarks: list[str]

    def data(self) -> dict[str, Any]:
        """For the script: the names of the lines, the grids, the panels."""
        names = [{"name": name, "colour": colour} for _, name, colour, _ in self.legend]
        return {"lines": names, "grids": self.grids, "panels": [panel.data for panel in self.panels]}


@dataclass
class _Grids:
    """Lists of steps, each kept once: most runs are evaluated at the same ones."""

    lists: list[list[int]] = field(default_factory=list)
    numbers: dict[tuple[int, ...], int] = field(default_factory=dict)

    def number(self, steps: NDArray[np.int64]) -> int:
        key = tuple(steps.tolist())
        if key not in self.numbers:
            self.numbers[key] = len(self.lists)
            self.lists.append(list(key))
        return self.numbers[key]


def draw(curves: Curves) -> Drawing:
    """The curves as SVG."""
    labels = curves.labels
    looks = {label: (number % len(COLOURS), _dashes(number)) for number, label in enumerate(labels)}
    grids = _Grids()
    total = sum(curve.n for curve in curves.lines)
    panels, thinned = [], False
    for env in curves.envs:
        own = [curve for curve in curves.lines if curve.env == env]
        lines: list[dict[str, Any]] = []
        for curve in own:
            kept = _kept(len(curve.steps), LINE_POINTS)
            line = {
                "line": labels.index(curve.label),
                "grid": grids.number(curve.steps[kept]),
                "runs": curve.n,
                "n": [] if (curve.count == curve.n).all() else curve.count[kept].tolist(),
                **{name: _rounded(getattr(curve, name)[kept]) for name in ("value", "low", "high")},
            }
            if total <= MOST_RUNS:
                line["single"] = _single(curve, grids)
                thinned |= any(len(one.steps) > POINTS for one in curve.series)
            thinned |= len(curve.steps) > LINE_POINTS
            lines.append(line)
        axes = _Axes.around(own)
        name = AXIS_TEXTS.get(curves.quantity, "value")
        panels.append(Panel(key_text(env), _panel(own, labels, looks, axes, name), {**axes.data(), "lines": lines}))
    remarks = []
    if total > MOST_RUNS:
        remarks.append(f"Single runs are left out, as there are {total}: a page holds at most {MOST_RUNS}.")
    if thinned:
        remarks.append(f"Drawn are at most {POINTS} points of a run and {LINE_POINTS} of a line.")
    legend = [(number, name, *looks[label]) for number, (label, name) in enumerate(_names(curves).items())]
    return Drawing(panels, legend, grids.lists, remarks)


@dataclass(frozen=True)
class _Axes:
    """What the axes show: steps from 0 to `last`, values from `low` to `high`."""

    last: float
    low: float
    high: float

    @classmethod
    def around(cls, curves: Sequence[Curve]) -> _Axes:
        parts = [array for curve in curves for array in (curve.value, curve.low, curve.high)]
        parts += [one.values for curve in curves for one in curve.series]
        values = np.concatenate(parts)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        margin = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(max(float(curve.steps[-1]) for curve in curves) or 1.0, low - margin, high + margin)

    def x(self, steps: Any) -> Any:
        return _LEFT + (_RIGHT - _LEFT) * steps / self.last

    def y(self, values: Any) -> Any:
        return _BOTTOM - (_BOTTOM - _TOP) * (values - self.low) / (self.high - self.low)

    def data(self) -> dict[str, Any]:
        """For the script: the box of the axes in units of the drawing, and what its edges stand for."""
        return {"box": [_LEFT, _TOP, _RIGHT, _BOTTOM], "last": self.last, "low": self.low, "high": self.high}


def _single(curve: Curve, grids: _Grids) -> list[list[Any]]:
    """(name, grid, values) of every run of a line."""
    found = []
    for seed, one in zip(curve.seeds, curve.series, strict=True):
        kept = _kept(len(one.steps), POINTS)
        found.append([f"seed {seed}", grids.number(one.steps[kept]), _rounded(one.values[kept])])
    return found


def _kept(length: int, most: int) -> NDArray[np.int64]:
    """The places of at most so many points, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def _rounded(values: Floats) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None for value in values.tolist()]


def _dashes(number: int) -> str:
    dashes = DASHES[number % len(DASHES)]
    return "" if dashes == "-" else " ".join(f"{_STROKE * length:g}" for length in dashes[1])


def _names(curves: Curves) -> dict[Label, str]:
    """What the legend says: the keys in which labels differ."""
    labels = curves.labels
    varying = [index for index in range(len(curves.keys)) if len({label[index] for label in labels}) > 1] or [0]
    names = {}
    for label in labels:
        parts = [(curves.keys[index], label[index]) for index in varying if label[index] is not None]
        texts = [label_text(key if key == "algo" else curves.symbols.get(key, key), value) for key, value in parts]
        names[label] = ", ".join(texts) or "–"
    return names


def _panel(
    curves: Sequence[Curve], labels: Sequence[Label], looks: Mapping[Label, tuple[int, str]], axes: _Axes, name: str
) -> Markup:
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_described(curves)}">']
    for value in ticks(axes.low, axes.high):
        y = f"{axes.y(value):.1f}"
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{_RIGHT}"/>')
        parts.append(
            f'<text class="tick end" x="{_LEFT - 6}" y="{y}" dy="4">{_tick(value, axes.high - axes.low)}</text>'
        )
    for step in ticks(0.0, axes.last):
        x = f"{axes.x(step):.1f}"
        parts.append(f'<path class="grid" d="M{x} {_TOP}V{_BOTTOM}"/>')
        parts.append(f'<text class="tick middle" x="{x}" y="{_BOTTOM + 16}">{steps_text(round(step))}</text>')
    middle = (_LEFT + _RIGHT) / 2
    parts.append(f'<text class="tick middle" x="{middle:g}" y="{_BOTTOM + 34}">environment steps</text>')
    height = (_TOP + _BOTTOM) / 2
    parts.append(f'<text class="tick middle" transform="translate(14 {height:g}) rotate(-90)">{name}</text>')
    for curve in curves:
        colour, dashes = looks[curve.label]
        parts.append(f'<g data-line="{labels.index(curve.label)}" class="c{colour}">')
        parts += _line(curve, dashes, axes)
        parts.append("</g>")
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/></svg>')
    return Markup("".join(parts))  # numbers and our own words only


def _described(curves: Sequence[Curve]) -> str:
    lines = len(curves)
    return f"Learning curves: {lines} {'line' if lines == 1 else 'lines'} over environment steps"


def _line(curve: Curve, dashes: str, axes: _Axes) -> Iterable[str]:
    """Band and line, pale and thin where fewer runs than n have a value."""
    kept = _kept(len(curve.steps), LINE_POINTS)
    x, full = axes.x(curve.steps[kept]), (curve.count == curve.n)[kept]
    beside = np.pad(~full, 1)
    thin = ~full | beside[:-2] | beside[2:]  # from the last step on that all runs reach
    for shown, weak in ((full, ""), (thin, " weak")):
        value, low, high = (np.where(shown, getattr(curve, name)[kept], np.nan) for name in ("value", "low", "high"))
        for part in _pieces(low, high):
            edge = [*zip(x[part], axes.y(high[part]), strict=True)]
            edge += [*zip(x[part], axes.y(low[part]), strict=True)][::-1]
            yield f'<path class="band{weak}" d="{_path(edge)}Z"/>'
        for part in _pieces(value):
            points = [*zip(x[part], axes.y(value[part]), strict=True)]
            if len(points) == 1:
                ((left, top),) = points
                yield f'<circle class="dot" cx="{left:.1f}" cy="{top:.1f}" r="3"/>'
            else:
                style = f' stroke-dasharray="{dashes}"' if dashes else ""
                yield f'<path class="line{weak}" d="{_path(points)}"{style}/>'


def _pieces(*values: Floats) -> list[slice]:
    """The longest parts in which all values are finite."""
    known = np.pad(np.logical_and.reduce([np.isfinite(one) for one in values]).astype(np.int8), 1)
    edges = np.flatnonzero(np.diff(known)).tolist()
    return [slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About so many round numbers between two others."""
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    width = next((factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw), 10 * power)
    first, last = math.ceil(low / width), math.floor(high / width)
    return [number * width for number in range(first, last + 1)]


def _tick(value: float, span: float) -> str:
    if abs(value) >= 10_000 or span >= 50_000:
        return ("−" if value < 0 else "") + steps_text(round(abs(value)))
    return general_text(value, 6).replace("-", "−")
