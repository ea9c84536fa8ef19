"""What runs say over all environments: aggregates, profiles and improvements of rows, and the figures of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dapo_cli.analysis.comparison import across_environments
from dapo_cli.analysis.comparison.cell_text import mark_text
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.measures import parse
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.errors import BadInput
from dapo_cli.figures import improvement as improvement_figure
from dapo_cli.figures import intervals, profiles, style
from dapo_cli.figures.layout import Paper
from dapo_cli.figures.rows import row_texts
from dapo_cli.statistics import bootstrap
from dapo_cli.statistics.differences import improvement

SCORES = {
    "sac": {"HalfCheetah-v4": [1000.0, 2000.0, 3000.0, 2000.0], "Hopper-v4": [900.0, 1000.0, 1100.0, 1000.0]},
    "kl": {"HalfCheetah-v4": [2500.0, 2600.0, 1500.0, 3000.0], "Hopper-v4": [1200.0, 1150.0, 950.0, 1250.0]},
    "new": {"Hopper-v4": [500.0, 600.0]},
}


@pytest.fixture
def runs(record_run):
    for algo, envs in SCORES.items():
        for env, scores in envs.items():
            for seed, score in enumerate(scores):
                record_run(algo, env, seed=seed, final=[score])


def collect(results, **asked):
    return across_environments.collect(results, Request(**{"resamples": 500, **asked}))


def test_aggregates_are_those_of_the_pooled_table(results, runs):
    found = collect(results, normalise="sac")
    own = across_environments.aggregates(found)
    assert list(own) == [("kl",), ("new",), ("sac",)]
    assert list(own["sac",]) == ["mean", "median", "iqm", "gap"]
    assert own["sac",]["mean"].value == pytest.approx(1.0)  # it is the reference
    strata = list(found.strata["kl",].values())
    for name in own["kl",]:
        assert own["kl",][name] == bootstrap.aggregate(strata, name, resamples=500)
    assert own["kl",]["mean"].method == "bootstrap"


def test_who_lacks_an_environment_is_said(results, runs):
    found = collect(results, normalise="sac")
    assert found.table.footnotes == ("runs on 1 of the 2 environments",)
    assert found.marks == {("kl",): (), ("new",): (0,), ("sac",): ()}
    plot = intervals.plot(found)
    assert "a: runs on 1 of the 2 environments." in plot.caption
    assert [record["notes"] for record in plot.records if record["algo"] == "new"] == [list(found.table.footnotes)] * 4


def test_the_letters_of_a_row_are_in_order(results, runs, record_run):
    for algo in ("kl", "sac"):
        record_run(algo, "Hopper-v4", seed=9, status="failed")
    record_run("sac", "Hopper-v4", seed=8, status="diverged")
    found = collect(results, choice=Choice(where="env ~ Hopper"))
    assert found.marks == {("kl",): (0,), ("new",): (), ("sac",): (1, 0)}
    texts = row_texts(found, numbers=False)
    assert texts == {("kl",): "kl (a)", ("new",): "new", ("sac",): "sac (a, b)"}
    cell = next(cell for (row, _), cell in found.table.cells.items() if row == ("sac",))
    assert mark_text(replace(cell, marks=(2, 0))) == "a, c"


def test_returns_on_several_environments_have_no_mean(results, runs):
    with pytest.raises(BadInput, match="no common mean: choose one environment with --where, or normalise"):
        across_environments.aggregates(collect(results))
    one = across_environments.aggregates(collect(results, choice=Choice(where="env ~ Hopper")))
    assert list(one["sac",]) == ["mean", "median", "iqm"]  # no gap without a scale
    assert one["sac",]["mean"].value == 1000.0
    assert one["new",]["mean"].method == ""  # two runs


def test_a_profile_is_exact_at_every_score(results, runs):
    found = collect(results, normalise="sac")
    drawn = across_environments.profiles(found)["kl",]
    for threshold, fraction in zip(drawn.thresholds.tolist(), drawn.value.tolist(), strict=True):
        strata = found.strata["kl",].values()
        expected = sum(sum(x > threshold for x in scores) / len(scores) for scores in strata) / len(strata)
        assert fraction == pytest.approx(expected)
    assert {x for scores in found.strata["kl",].values() for x in scores} <= set(drawn.thresholds.tolist())
    assert (drawn.value[0], drawn.value[-1]) == (1.0, 0.0)
    assert (drawn.low <= drawn.value).all()
    assert (drawn.value <= drawn.high).all()
    with pytest.raises(BadInput, match="compares normalised scores: add --normalise"):
        across_environments.profiles(collect(results))


def test_the_area_is_the_mean_score(results, runs):
    found = collect(results, normalise="sac")
    plot = profiles.plot(found)
    (record,) = [record for record in plot.records if record["algo"] == "kl"]
    assert record["area"] == pytest.approx(across_environments.aggregates(found)["kl",]["mean"].value)
    widths = np.diff(record["threshold"])
    right = np.array(record["threshold"][:-1]) >= 0
    below_first = record["threshold"][1] if record["threshold"][0] < 0 else 0.0
    assert (widths * record["fraction"][:-1])[right].sum() + below_first == pytest.approx(record["area"])


def test_improvement_is_over_the_environments_that_both_have(results, runs):
    found = collect(results)
    pairs = {(pair.row[0], pair.other[0]): pair for pair in across_environments.improvements(found)}
    assert set(pairs) == {("kl", "new"), ("kl", "sac"), ("new", "sac")}
    assert [pair.environments for pair in pairs.values()] == [1, 2, 1]
    expected = improvement(list(SCORES["kl"].values()), list(SCORES["sac"].values()), resamples=500)
    assert pairs["kl", "sac"].estimate == expected
    assert pairs["new", "sac"].estimate.value == 0.0
    assert math.isnan(pairs["new", "sac"].estimate.low)  # two runs


def test_improvement_over_a_base(results, runs):
    pairs = across_environments.improvements(collect(results, base="algo = sac"))
    assert [(pair.row[0], pair.other[0]) for pair in pairs] == [("kl", "sac"), ("new", "sac")]


def test_fewer_steps_are_an_improvement(results, record_run):
    for seed in range(3):
        record_run("early", seed=seed, final=[50.0 + seed])
        record_run("never", seed=seed, final=[5.0 + seed])
    (pair,) = across_environments.improvements(collect(results, measure=parse("steps-to:20")))
    assert (pair.row[0], pair.estimate.value) == ("early", 1.0)
    assert (
        "has a lower steps to a return of 20"
        in improvement_figure.plot(collect(results, measure=parse("steps-to:20"))).caption
    )


def test_a_diverged_run_counts_as_a_random_policy_and_is_said(results, record_run):
    for seed in range(3):
        record_run(seed=seed, final=[1000.0])
        record_run("kl", seed=seed, final=[2000.0], status="diverged" if seed == 0 else "completed")
    found = collect(results)
    assert min(found.strata["kl",]["HalfCheetah-v4"]) < 0
    (pair,) = across_environments.improvements(found)
    assert pair.estimate.value == pytest.approx(2 / 3)
    assert "1 of 3 runs diverged and counts as a random policy" in improvement_figure.plot(found).caption


def test_the_artists_of_the_figures(results, runs):
    found = collect(results, normalise="sac")
    drawn = across_environments.aggregates(found)
    with style.styled():
        figure = intervals.plot(found).draw(Paper())
        assert [panel.get_title() for panel in figure.axes] == ["Mean", "Median", "IQM", "Optimality gap"]
        bar: Any = figure.axes[0].patches[0]
        low, high = drawn["kl",]["mean"][2:4]
        assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((low, high))
        assert len(figure.axes[0].patches) == 2  # two runs have no interval
        texts = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert texts == ["kl (n = 8)", "new (n = 2; a)", "sac (n = 8)"] or texts[1].replace("\xa0", " ").endswith("a)")
        panel = improvement_figure.plot(collect(results, base="algo = sac")).draw(Paper()).axes[0]
        assert panel.get_xlabel() == "P(better than sac)"
        assert any(line.get_xdata() == [0.5, 0.5] for line in panel.get_lines())
        panel = profiles.plot(found).draw(Paper(caption=False)).axes[0]
        assert panel.get_xlabel().replace("\n", " ") == "normalised final return τ"


def test_nothing_to_draw(results, record_run):
    with pytest.raises(BadInput, match="no run to draw: see what there is with dapo runs"):
        collect(results)
    record_run()
    with pytest.raises(BadInput, match="one row cannot be better than another"):
        across_environments.improvements(collect(results))
