"""Curves: what is averaged at which step, over how many runs, and what the figure says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dapo_cli.analysis.curves import learning_curves, series
from dapo_cli.analysis.curves.learning_curves import Curves
from dapo_cli.analysis.curves.series import Series
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.errors import BadInput
from dapo_cli.figures import curves as curve_figure
from dapo_cli.figures import style
from store.records import runs as store_runs
from store.records.recorder import Recorder


def line(steps, values) -> Series:
    return Series(np.array(steps), np.array(values, dtype=float))


@pytest.fixture
def record(results):
    """Records a run from its evaluations, episodes and diagnostics, each step -> value (or values)."""

    def run(algo="sac", env="Ant-v4", *, evaluations=(), episodes=(), q=(), steps=1000, status="completed", **columns):
        settings = columns.pop("settings", {})
        row = {"algo": algo, "env": env, "seed": 0, "steps": steps, **columns}
        symbols = {"beta": "β"}
        rows = [
            {"name": name, "value": value, "origin": "default", "symbol": symbols.get(name)}
            for name, value in settings.items()
        ]
        run_id = store_runs.create(results, run=row, hyperparameters=rows)
        recorder = Recorder(results, run_id)
        for step, values in dict(evaluations).items():
            for number, value in enumerate(values if isinstance(values, list) else [values]):
                recorder.evaluation(step, "mean", number, value, 1)
                recorder.evaluation(step, "sampled", number, -999.0, 1)
        for number, (step, value) in enumerate(dict(episodes).items()):
            recorder.episode(number, step, value, 1, 0.1, False, True)
        for step, value in dict(q).items():
            recorder.metrics(step, {"q": value})
        recorder.progress(columns.get("step", steps), 1.0)
        recorder.close(status, None)
        return run_id

    return run


def collect(results, where=None, unfinished=False, **asked) -> Curves:
    return learning_curves.collect(results, Choice(where=where, unfinished=unfinished), **asked)


def only(drawn: Curves):
    (curve,) = drawn.lines
    return curve


def test_runs_are_aligned_by_step_not_by_position():
    steps, values, reached = series.aligned([line([10, 20, 40], [1, 2, 4]), line([20, 30], [20, 30])])
    assert steps.tolist() == [10, 20, 30, 40]
    assert values[0].tolist() == [1, 2, 3, 4]
    assert values[1, 1:3].tolist() == [20, 30]
    assert reached.tolist() == [[True] * 4, [False, True, True, False]]


def test_a_value_that_is_not_finite_breaks_only_its_neighbourhood():
    _, values, reached = series.aligned([line([10, 20, 30, 40], [1, math.inf, 3, 4]), line([15, 35], [0, 0])])
    assert np.isfinite(values[0]).tolist() == [True, False, False, True, True, True]
    assert reached[0].all()
    mean, low, _ = learning_curves.bounds(values, reached, learning_curves.MINMAX)
    assert np.isfinite(mean).tolist() == [True, False, False, True, True, True]
    assert np.isfinite(low).tolist() == [False, False, False, True, True, False]


def test_windows_average_what_ended_in_them_and_hold_where_nothing_did():
    own = line([5, 10, 11, 35], [1, 3, 7, 9])
    result = series.windowed(own, 10, end=45)
    assert result.steps.tolist() == [10, 20, 30, 40, 45]
    assert result.values.tolist() == [2, 7, 7, 9, 9]  # (35, 45] is the last window: an end at 35 is not in it
    late = series.windowed(line([25], [4]), 10, end=30)
    assert (late.steps.tolist(), late.values.tolist()) == ([30], [4])
    assert series.windowed(own, 100, end=45).values.tolist() == [5]


@pytest.mark.parametrize(
    ("longest", "width"), [(1_000_000, 20_000), (3000, 100), (1500, 50), (2_000_001, 50_000), (9, 1)]
)
def test_the_default_window_is_about_a_fiftieth(longest, width):
    assert series.default_window(longest) == width


def test_the_band_is_that_of_dapo_compare():
    from dapo_cli.statistics.estimates import estimate

    values = np.array([[1.0, 2.0], [4.0, 2.0], [9.0, 2.0], [3.0, 5.0]])
    mean, low, high = learning_curves.bounds(values, np.ones(values.shape, dtype=bool), learning_curves.CI)
    for column in range(2):
        result = estimate(values[:, column].tolist())
        assert (mean[column], low[column], high[column]) == pytest.approx(result[1:4])
    _, low, high = learning_curves.bounds(values, np.ones(values.shape, dtype=bool), learning_curves.STD)
    assert (high - low)[0] / 2 == pytest.approx(np.std(values[:, 0], ddof=1))
    _, low, high = learning_curves.bounds(values, np.ones(values.shape, dtype=bool), learning_curves.MINMAX)
    assert (low.tolist(), high.tolist()) == ([1, 2], [9, 5])
    assert np.isnan(learning_curves.bounds(values, np.ones(values.shape, dtype=bool), learning_curves.NO_BAND)[1]).all()


@pytest.mark.parametrize("statistic", ["mean", "median", "iqm"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_every_step_is_a_cell_of_a_table(statistic, n):
    from dapo_cli.statistics.estimates import estimate

    values = np.random.default_rng(n).normal(size=(n, 4))
    value, low, high = learning_curves.bounds(values, np.ones(values.shape, dtype=bool), learning_curves.CI, statistic)
    for column in range(4):
        expected = estimate(values[:, column].tolist(), statistic)
        found = (value[column], low[column], high[column])
        assert found == pytest.approx(expected[1:4], nan_ok=True)


def test_the_order_of_the_runs_changes_no_bit():
    values = np.random.default_rng(0).lognormal(sigma=9, size=(7, 50))
    reached = np.random.default_rng(1).random((7, 50)) < 0.8
    with np.errstate(all="ignore"):
        one, other = (
            learning_curves.bounds(values[order], reached[order], learning_curves.CI)
            for order in (slice(None), slice(None, None, -1))
        )
    assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize(
    ("asked", "n", "band"), [("ci", 1, "none"), ("ci", 2, "minmax"), ("ci", 3, "ci"), ("std", 2, "std")]
)
def test_two_runs_have_no_interval_and_one_has_no_band(asked, n, band):
    assert learning_curves.band_of(asked, n) == band


@pytest.mark.parametrize(("n", "band"), [(1, "none"), (5, "minmax"), (6, "ci")])
def test_the_median_of_few_runs_has_no_interval(n, band):
    assert learning_curves.band_of("ci", n, "median") == band


def test_ragged_runs_are_kept_and_counted(results, record):
    for seed, last in enumerate((1000, 1000, 1000, 500)):
        record(evaluations={step: step + seed for step in range(250, last + 1, 250)}, steps=last, seed=seed)
    drawn = collect(results)
    curve = only(drawn)
    assert curve.steps.tolist() == [250, 500, 750, 1000]
    assert curve.count.tolist() == [4, 4, 3, 3]
    assert curve.value.tolist() == [251.5, 501.5, 751, 1001]
    assert np.isfinite(curve.low).all()
    assert "Thin, from a circle on: fewer than n runs." in curve_figure.explanation(drawn)


def test_an_evaluation_is_the_mean_of_its_mean_action_episodes(results, record):
    record(evaluations={500: [1.0, 3.0], 1000: [5.0, math.nan]})
    curve = only(collect(results))
    assert curve.value[0] == 2.0
    assert math.isnan(curve.value[1])
    assert collect(results).notes() == ["1 line is interrupted where a run has a value that is not finite"]


def test_training_returns_reach_the_end_of_the_run(results, record):
    record(episodes={100: 1.0, 300: 3.0}, steps=1000)
    curve = only(collect(results, quantity="train-return", window=200))
    assert (curve.steps.tolist(), curve.value.tolist()) == ([200, 400, 600, 800, 1000], [1, 3, 3, 3, 3])
    assert only(collect(results, quantity="train-return")).window == 20


def test_a_window_that_would_take_for_ever(results, record):
    record(episodes={100: 1.0}, steps=1_000_000)
    with pytest.raises(BadInput, match="--window: 150 cuts 1000000 steps into more than 5000: give at least 200"):
        collect(results, quantity="train-return", window=150)
    assert only(collect(results, quantity="train-return", window=200)).n == 1


def test_diagnostics_are_drawn_as_recorded_unless_a_window_is_asked_for(results, record):
    record(q={100: 1.0, 200: 3.0}, steps=200)
    assert only(collect(results, quantity="q")).value.tolist() == [1, 3]
    assert only(collect(results, quantity="q", window=200)).value.tolist() == [2]


def test_who_is_left_out_is_said(results, record):
    record(evaluations={1000: 1.0})
    record(q={1000: 1.0}, seed=1)
    record(evaluations={500: 1.0}, status="failed", step=600, seed=2)
    drawn = collect(results)
    assert only(drawn).n == 1
    assert drawn.notes() == ["2 runs left out: 1 completed without an evaluation, 1 failed"]
    assert collect(results, quantity="q").notes() == ["2 runs left out: 1 completed without q, 1 failed"]
    everything = collect(results, unfinished=True)
    assert only(everything).count.tolist() == [1, 1]
    assert only(everything).n == 2
    assert "1 of the runs drawn is not completed: 1 failed" in everything.notes()


def test_a_run_that_diverged_is_drawn_as_far_as_it_came_and_marked(results, record):
    for seed in range(3):
        record(evaluations={500: 1.0, 1000: 2.0 + seed}, seed=seed)
    record(evaluations={500: 7.0}, status="diverged", step=600, seed=3)
    drawn = collect(results)
    curve = only(drawn)
    assert (curve.count.tolist(), curve.diverged) == ([4, 3], (False, False, False, True))
    assert curve.value.tolist() == [2.5, 3.0]
    assert "×: where a run diverged." in curve_figure.explanation(drawn)
    with style.styled():
        panel = curve_figure.draw(drawn).axes[0]
    (cross,) = [line for line in panel.get_lines() if line.get_marker() == "x"]
    assert (cross.get_xdata().tolist(), cross.get_ydata().tolist()) == ([500], [7.0])


def test_what_must_not_be_averaged_is_refused_and_budgets_may_differ(results, record):
    record(evaluations={1000: 1.0}, steps=1000, settings={"eval_every": 1000, "eval_episodes": 1})
    record(evaluations={500: 1.0}, steps=500, settings={"eval_every": 500, "eval_episodes": 1}, seed=1, dirty=True)
    with pytest.raises(BadInput, match="Ant-v4 differ in evaluation protocol"):
        collect(results)
    notes = collect(results, allow=["evaluation"]).notes()
    assert "1 of the runs drawn: of uncommitted code" in notes
    assert any("step budget" in note for note in notes)
    with pytest.raises(BadInput, match="step budget"):
        collect(results, strict=True)


def test_a_line_for_each_value_and_a_panel_for_each_environment(results, record):
    for seed in range(2):
        record("dapo-kl", "Hopper-v4", evaluations={1000: 1.0}, settings={"beta": 0.5, "m": 10}, seed=seed)
    record("dapo-kl", evaluations={1000: 1.0}, settings={"beta": 0.1, "m": 10})
    record(evaluations={1000: 1.0})
    drawn = collect(results, by=["beta", "m"])
    assert drawn.envs == ["Ant-v4", "Hopper-v4"]
    assert drawn.labels == [("dapo-kl", 0.1, 10), ("dapo-kl", 0.5, 10), ("sac", None, None)]
    assert list(curve_figure.line_texts(drawn).values()) == [
        "dapo-kl, β = 0.1, m = 10 (n = 1)",
        "dapo-kl, β = 0.5, m = 10 (n = 2)",
        "sac (n = 1)",
    ]
    drawn = collect(results, by=["beta", "m"], where="algo ~ dapo")
    assert list(curve_figure.line_texts(drawn).values()) == ["β = 0.1 (n = 1)", "β = 0.5 (n = 2)"]
    assert curve_figure.explanation(drawn).startswith("All lines: dapo-kl, m = 10. Lines: mean of n runs; bands:")


@pytest.mark.parametrize(
    ("n", "band", "text"),
    [
        (1, "ci", "One run a line."),
        (2, "ci", "Lines: mean of n = 2 runs; bands: pointwise, from the lowest run to the highest."),
        (3, "ci", "Lines: mean of n = 3 runs; bands: pointwise 95 % Student t interval of the mean."),
        (3, "std", "Lines: mean of n = 3 runs; bands: pointwise, mean ± standard deviation of the runs."),
        (3, "none", "Lines: mean of n = 3 runs."),
    ],
)
def test_the_figure_says_what_its_band_is(results, record, n, band, text):
    for seed in range(n):
        record(evaluations={1000: 1.0 + seed}, seed=seed)
    assert curve_figure.explanation(collect(results, band=band)) == text


def test_bands_of_two_kinds_are_told_apart(results, record):
    for seed in range(5):
        record("sac" if seed < 3 else "dapo-kl", evaluations={1000: 1.0 + seed}, seed=seed)
    text = curve_figure.explanation(collect(results))
    assert "95 % Student t interval of the mean; for n = 2 pointwise, from the lowest run" in text


def test_the_figure_shows_full_and_thin_parts(results, record):
    """The artists themselves: a thick part to where all runs are, a circle there, a thin part from there on."""
    for seed, last in enumerate((1000, 1000, 500)):
        record(evaluations={step: 1.0 * step for step in range(250, last + 1, 250)}, steps=last, seed=seed)
    drawn = collect(results)
    with style.styled():
        panel = curve_figure.draw(drawn).axes[0]
    thick, thin, circle = panel.get_lines()
    assert thick.get_linewidth() > 2 * thin.get_linewidth()
    assert thick.get_xdata()[np.isfinite(thick.get_ydata())].tolist() == [250, 500]
    assert thin.get_xdata()[np.isfinite(thin.get_ydata())].tolist() == [500, 750, 1000]
    assert circle.get_xdata().tolist() == [500]
    assert panel.get_title() == "Ant-v4"
    assert panel.get_xlabel() == "environment steps (×10³)"


def test_no_two_lines_look_the_same():
    looks = {str(style.line_look(index)) for index in range(style.MOST_LINES)}
    assert len(looks) == style.MOST_LINES == 40


def test_too_many_lines(results, record):
    for value in range(41):
        record(evaluations={1000: 1.0}, settings={"x": value})
    with pytest.raises(BadInput, match="41 lines cannot be told apart in one figure: choose at most 40"):
        curve_figure.draw(collect(results, by=["x"]))
