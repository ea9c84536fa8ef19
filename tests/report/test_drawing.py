"""The drawing of the curves: round ticks, thinned lines, gaps."""

from __future__ import annotations

import numpy as np
import pytest

from dapo_cli.analysis.curves.learning_curves import Curve, Curves
from dapo_cli.analysis.curves.series import Series
from dapo_cli.report import drawing


def curve(values, *, count=None, steps=None, n=2):
    values = np.asarray(values, dtype=float)
    steps = np.arange(1, len(values) + 1) * 10 if steps is None else np.asarray(steps)
    count = np.full(len(values), n) if count is None else np.asarray(count)
    one = Series(steps, values)
    return Curve(
        "Env",
        ("sac",),
        (one,) * n,
        tuple(range(n)),
        (False,) * n,
        "ci",
        None,
        steps,
        count,
        values,
        values - 1,
        values + 1,
    )


def drawn(*lines):
    return drawing.draw(Curves("return", "mean", ("algo",), {}, lines, ()))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-130, 870, [0, 200, 400, 600, 800]), (0.11, 0.19, [0.12, 0.14, 0.16, 0.18])],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert drawing.ticks(low, high) == pytest.approx(expected)


def test_a_long_run_is_thinned_and_keeps_its_ends():
    found = drawn(curve(np.linspace(0, 1, 5000)))
    (line,) = found.panels[0].data["lines"]
    grid = found.grids[line["grid"]]
    assert (len(grid), grid[0], grid[-1]) == (drawing.LINE_POINTS, 10, 50_000)
    _, number, values = line["single"][0]
    assert (len(values), values[0], values[-1]) == (drawing.POINTS, 0.0, 1.0)
    assert found.grids[number][-1] == 50_000
    assert found.remarks == ["Drawn are at most 200 points of a run and 400 of a line."]


def test_too_many_single_runs_are_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setattr(drawing, "MOST_RUNS", 3)
    found = drawn(curve([1.0, 2.0], n=4))
    assert "single" not in found.panels[0].data["lines"][0]
    assert found.remarks == ["Single runs are left out, as there are 4: a page holds at most 3."]


def test_a_gap_parts_the_line_and_a_lone_point_is_a_dot():
    found = drawn(curve([1.0, 2.0, np.nan, 4.0, np.nan, 6.0, 7.0]))
    svg = found.panels[0].svg
    assert svg.count('class="line"') == 2
    assert svg.count('class="dot"') == 1
    assert "nan" not in svg
    assert found.panels[0].data["lines"][0]["value"] == [1.0, 2.0, None, 4.0, None, 6.0, 7.0]


def test_where_fewer_runs_reach_the_line_is_weak_and_joined():
    svg = drawn(curve([1.0, 2.0, 3.0, 4.0], count=[2, 2, 1, 1])).panels[0].svg
    full, weak = (svg.split(f'class="{name}" d="M')[1].split('"')[0] for name in ("line", "line weak"))
    assert full.split("L")[-1] == weak.split("L")[0]


def test_both_axes_are_named():
    svg = drawn(curve([1.0, 2.0])).panels[0].svg
    assert ">environment steps</text>" in svg
    assert ">evaluation return</text>" in svg


def test_a_constant_curve_at_one_step_can_be_drawn():
    found = drawn(curve([0.0], steps=[0]))
    assert "nan" not in found.panels[0].svg
    assert "inf" not in found.panels[0].svg
