"""Scores against a hyperparameter: lines, points, what is default, when the axis is logarithmic."""

from __future__ import annotations

import pytest

from dapo_cli.analysis.comparison import sensitivity
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.sensitivity import is_logarithmic
from dapo_cli.errors import BadInput
from dapo_cli.figures import sensitivity as figure
from dapo_cli.figures import style
from dapo_cli.figures.layout import Paper
from dapo_cli.statistics.estimates import estimate
from store.records import runs as store_runs
from store.records.recorder import Recorder


@pytest.fixture
def sweep(results):
    """beta × m with three seeds; beta = 0.2 by default."""

    def record(beta, m, seed, final, env="Hopper-v4", status="completed"):
        origin = "default" if beta == 0.2 else "command line"
        rows = [
            {"name": "beta", "value": beta, "origin": origin, "symbol": "β"},
            {"name": "m", "value": m, "origin": "command line"},
        ]
        run = {"algo": "dapo-kl", "env": env, "seed": seed, "steps": 1000}
        run_id = store_runs.create(results, run=run, hyperparameters=rows)
        recorder = Recorder(results, run_id)
        recorder.evaluation(1000, "mean", 0, final, 1)
        recorder.progress(1000, 1.0)
        recorder.close(status, None)

    for m in (1, 10):
        for beta in (0.02, 0.2, 2.0):
            for seed in range(3):
                record(beta, m, seed, 100 * m + 10 * beta + seed)
    return record


def collect(results, x="beta", rows=("algo", "m"), **asked):
    return sensitivity.collect(results, Request(rows=rows, **asked), x)


def test_a_point_is_a_cell(results, sweep):
    found = collect(results)
    assert [(line.env, line.label) for line in found.lines] == [
        ("Hopper-v4", ("dapo-kl", 1)),
        ("Hopper-v4", ("dapo-kl", 10)),
    ]
    points = found.lines[1].points
    assert [point.x for point in points] == [0.02, 0.2, 2.0]
    assert points[1].cell.estimate == estimate([1002.0, 1003.0, 1004.0])
    assert [point.default for point in points] == [False, True, False]
    assert found.records()[1] | {"beta": 0.2, "m": 1, "n": 3, "default": True} == found.records()[1]


def test_the_value_of_a_preset_is_a_default(results, sweep):
    with results.transaction() as session:
        session.connection().exec_driver_sql("UPDATE hyperparameter SET origin = 'preset' WHERE value = '0.2'")
    found = collect(results)
    assert [point.default for point in found.lines[0].points] == [False, True, False]
    with style.styled():
        panel = figure.plot(found).draw(Paper()).axes[0]
    assert [line.get_xdata()[0] for line in panel.get_lines() if line.get_markersize() == 7] == [0.2, 0.2]


def test_the_figure_has_its_values_as_ticks_and_rings_the_default(results, sweep):
    found = collect(results)
    plot = figure.plot(found)
    assert plot.caption.startswith("All lines: dapo-kl. Final return against β: mean of n = 3 runs a point.")
    assert "Bars: 95 % Student t interval. Ringed: the default." in plot.caption
    with style.styled():
        panel = plot.draw(Paper()).axes[0]
    assert panel.get_xscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.02", "0.2", "2"]
    rings = [line for line in panel.get_lines() if line.get_markersize() == 7]
    assert [line.get_xdata()[0] for line in rings] == [0.2, 0.2]
    bars = [path.vertices[:, 1].tolist() for path in panel.collections[0].get_paths()]
    assert bars == [pytest.approx(point.cell.estimate[2:4]) for point in found.lines[0].points]


def test_runs_without_the_hyperparameter_are_counted(results, sweep, record_run):
    record_run(env="Hopper-v4")
    assert "1 run has no beta" in collect(results).notes


def test_a_point_that_is_not_finite_is_said_and_not_drawn(results, sweep):
    sweep(20.0, 1, 0, float("nan"))
    found = collect(results)
    assert found.notes == ["1 of 7 points not drawn, as the value is not finite"]
    with style.styled():
        figure.plot(found).draw(Paper())


def test_unequal_numbers_of_runs_stand_at_the_points(results, sweep):
    sweep(2.0, 1, 3, 50.0)
    plot = figure.plot(collect(results))
    assert "mean of n = 3 runs a point, where nothing else stands." in plot.caption
    with style.styled():
        panel = plot.draw(Paper()).axes[0]
    assert [text.get_text() for text in panel.texts] == ["n = 4"]


def test_a_diverged_run_is_marked_at_its_point(results, sweep):
    sweep(2.0, 1, 3, 50.0, status="diverged")
    plot = figure.plot(collect(results))
    assert "a: 1 of 4 runs diverged and counts as a random policy" in plot.caption
    with style.styled():
        panel = plot.draw(Paper()).axes[0]
    assert "n = 4, a" in [text.get_text() for text in panel.texts]


def test_only_what_is_drawn_has_footnotes_in_the_order_of_the_points(results, sweep, record_run):
    """A letter for each footnote at a point, from a on; sac, and a point without a value, are not drawn."""
    record_run(env="Hopper-v4", status="failed")
    record_run(env="Hopper-v4")
    sweep(20.0, 1, 0, float("nan"))
    sweep(2.0, 1, 3, 50.0, status="failed")
    for status in ("failed", "diverged"):
        sweep(0.02, 10, 3, 50.0, status=status)
    sweep(2.0, 10, 3, 50.0, status="diverged")
    found = collect(results)
    plot = figure.plot(found)
    assert [row[-1] for row in plot.rows] == ["", "", "a", "", "a, b", "", "c"]
    assert " a: 1 failed not counted. b: 1 of 4 runs diverged" in plot.caption
    assert " d: " not in plot.caption
    with style.styled():
        texts = [text.get_text() for text in plot.draw(Paper()).axes[0].texts]
    assert texts == ["a", "n = 4, a, b", "n = 4, c"]
    notes = [record["notes"] for record in plot.records]
    assert notes[2] == ["1 failed not counted"]
    assert [len(texts) for texts in notes[4:]] == [2, 0, 1]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("m", "--x: m tells lines or panels apart"),
        ("env", "--x: env tells lines or panels apart"),
        ("btea", "no run has a key 'btea': did you mean 'beta'"),
        ("status", r"--x: status is no number \('completed'\)"),
    ],
)
def test_what_cannot_be_an_axis(results, sweep, x, message):
    with pytest.raises(BadInput, match=message):
        collect(results, x)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.01, 0.1, 1.0], True),
        ([1, 2, 5, 10], True),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], False),
        ([0.1, 0.5, 0.9], False),
        ([0, 0.1, 1, 10], False),
        ([-1, 1, 10], False),
        ([1, 100], False),
        ([5], False),
    ],
)
def test_when_an_axis_is_logarithmic(values, expected):
    assert is_logarithmic(values) is expected
