"""The figures of `dapo theory rates` and `dapo theory sac`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dapo_cli.figures import layout, style
from dapo_cli.figures.layout import PAGE, Paper
from dapo_cli.theory import rates, sac_limit
from dapo_cli.theory.rates import Line
from dapo_cli.theory.sac_limit import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

_LOWEST = 1e-12  # of the axis: what lies below is rounding
_TITLES = {
    rates.EXACT: "growing steps, with T3's bound",
    rates.ERROR: f"an error of ε per step, γ = {rates.ERROR_GAMMA}, T7's bound",
    rates.PAIRED: f"two mirror maps, η = {rates.PAIRED_ETA:g}",
    rates.RANK: "DAPO by the rank of its features",
    rates.EQUAL: f"the same features of rank {rates.RANKS[-2]}",
    rates.PAIRED_GROWING: "two mirror maps, growing steps",
}

_LEGENDS: dict[str, tuple[str, tuple[float, float], int]] = {
    rates.EXACT: ("upper right", (1, 1), 1),
    rates.ERROR: ("center right", (1, 0.5), 2),
    rates.RANK: ("lower left", (0, 0), 1),
    rates.EQUAL: ("center right", (1, 0.38), 1),
    rates.PAIRED: ("center right", (1, 0.68), 2),
    rates.PAIRED_GROWING: ("lower left", (0, 0), 1),
}


def rates_caption(lines: Sequence[Line], seed: int) -> str:
    """What the figure shows."""
    return (
        f"Medians of {lines[0].gap.shape[1]} Garnets ({rates.STATES} states, {rates.ACTIONS} actions, "
        f"γ = {rates.GAMMA} unless said, seed {seed}). Gap: V*(ρ) − V^k(ρ), with an error ε its maximum over states. "
        "Dashed: the bounds, which are earlier authors' or follow from them; those of DAPO's own theorem are not "
        "known to us. Second row: Φ the negative entropy, "
        f"τ = {rates.TAU}, dual vectors linear in random features of "
        f"{rates.STATES * rates.ACTIONS} state-action pairs; solve: one linear system for each iteration. AMPO fits by "
        "squared error, centred: up to a constant per state; DAPO by the dual Bregman divergence. "
        "Third row: the target y = ∇Φ(π^k) + ηQ has the first mirror map, its projection the second."
    )


def sac_caption(runs: Sequence[Run], seed: int) -> str:
    """What the figure shows."""
    return (
        f"Medians of {runs[0].error.shape[1]} Garnets ({rates.STATES} states, {rates.ACTIONS} actions, "
        f"γ = {rates.GAMMA}, τ = {sac_limit.TAU}, seed {seed}). Dashed: the bound γ (1 − β (1 − γ))^k C of Cen et al. "
        "2020; its factor per iteration is γ at β = 1, where the step is SAC's."
    )


def draw_rates(lines: Sequence[Line], seed: int, paper: Paper) -> Figure:
    """A panel for each of rates.PANELS."""
    grid = layout.grid_of(4, Paper(PAGE))._replace(rows=3)
    figure, panels = layout.panels_of(grid, len(rates.PANELS))
    for panel, name in zip(panels, rates.PANELS, strict=True):
        for index, line in enumerate(line for line in lines if line.panel == name):
            _curve(panel, line.gap, line.label, style.COLOURS[index], line.bound)
        _finish(panel, *_LEGENDS[name])
        layout.title(panel, _TITLES[name], grid)
    layout.name_axes(panels, grid, "iteration k", "gap")
    layout.put_below(figure, [], [], rates_caption(lines, seed) if paper.caption else "")
    return figure


def draw_sac(runs: Sequence[Run], seed: int, paper: Paper) -> Figure:
    """The error against k for some β, and the factor of one iteration against β."""
    grid = layout.grid_of(2, Paper(PAGE))
    figure, (errors, factors) = layout.panels_of(grid, 2)
    for index, run in enumerate(run for run in runs if run.beta in sac_limit.DRAWN):
        _curve(errors, run.error, f"β = {run.beta:g}", style.COLOURS[index], run.bound, first=1)
    _finish(errors, "center right", (1, 0.36))
    layout.title(errors, "error by iteration", grid)
    errors.set_xlabel("iteration k")
    errors.set_ylabel("‖Q* − Q^k‖")
    betas = [run.beta for run in runs]
    colour = style.COLOURS[0]
    factors.plot(betas, [run.rate for run in runs], marker="o", markersize=3, color=colour, label="measured")
    factors.plot(betas, [run.bound_rate for run in runs], "--", color=colour, label="bound: 1 − β (1 − γ)")
    factors.set_ylim(0, 1.05)
    factors.legend(loc="center right")
    layout.title(factors, "factor of one iteration", grid)
    factors.set_xlabel("β, and SAC at 1")
    factors.set_ylabel("factor")
    layout.put_below(figure, [], [], sac_caption(runs, seed) if paper.caption else "")
    return figure


def _curve(panel: Axes, gap: Tensor, label: str, colour: str, bound: Tensor | None, first: int = 0) -> None:
    """The medians over MDPs, with the bound's dashed; what is 0 by rounding is left out."""
    steps = range(first, first + len(gap))
    middle = gap.median(-1).values
    panel.plot(steps, middle.where(middle > _LOWEST / 10, float("nan")).tolist(), color=colour, label=label)
    if bound is not None:
        panel.plot(steps, bound.median(-1).values.tolist(), "--", color=colour, linewidth=0.8)


def _finish(panel: Axes, place: Any, anchor: tuple[float, float], columns: int = 1) -> None:
    """A logarithmic axis, and the legend where no line is."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, _LOWEST), high * 3)
    panel.yaxis.set_major_locator(LogLocator(numticks=8))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    panel.legend(
        loc=place,
        bbox_to_anchor=anchor,
        ncols=columns,
        handlelength=1.6,
        borderaxespad=0.2,
        labelspacing=0.3,
        columnspacing=1,
    )


def _power(value: float) -> str:
    """10⁻², without the mathematical text that our style leaves out."""
    return "10" + str(round(math.log10(value))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
