"""What is in a comparison's cells, and what is said of them."""

from __future__ import annotations

import math

import pytest

from dapo_cli.analysis.comparison.build import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection import labels
from dapo_cli.analysis.selection.measures import Measure
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.errors import BadInput
from dapo_cli.statistics.estimates import estimate


@pytest.fixture
def table(results):
    """Builds the table of `results` that these parts of a request ask for."""
    return lambda **parts: build(results, Request(**parts))


@pytest.fixture
def seeds(record_run):
    """Records a run for each of these final returns, with seeds from 0 on."""

    def record(algo, finals, env="HalfCheetah-v4", first=0, **columns):
        return [record_run(algo, env, seed=seed, final=[float(x)], **columns) for seed, x in enumerate(finals, first)]

    return record


def test_cells_hold_the_runs_of_their_labels(table, seeds):
    ids = seeds("sac", [1, 3])
    seeds("dapo-kl", [5])
    seeds("sac", [7], "Hopper-v4")
    result = table()
    assert result.row_labels == [("dapo-kl",), ("sac",)]
    assert result.col_labels == [("HalfCheetah-v4",), ("Hopper-v4",)]
    cell = result.at(("sac",), ("HalfCheetah-v4",))
    assert [run["id"] for run in cell.runs] == ids
    assert cell.strata == {"HalfCheetah-v4": (1.0, 3.0)}
    assert cell.estimate == estimate([1.0, 3.0])
    assert result.at(("dapo-kl",), ("Hopper-v4",)) is None
    assert result.counts == {1, 2}


def test_runs_of_the_theory_make_no_rows_beside_training(table, seeds):
    seeds("sac", [1, 3])
    seeds("pmd-kl", [1], "theorem-T1", kind="theory")
    result = table()
    assert result.row_labels == [("sac",)]
    assert "1 run left out: 1 of the theory" in result.notes


def test_one_run_has_a_value_and_neither_interval_nor_spread(table, seeds):
    seeds("sac", [4])
    (cell,) = table().cells.values()
    assert (cell.estimate.value, cell.estimate.n, cell.estimate.method) == (4.0, 1, "")
    assert math.isnan(cell.estimate.low)
    assert math.isnan(cell.estimate.std)


def test_a_score_that_is_no_number_is_marked(table, seeds):
    seeds("sac", [1, math.nan, 3])
    result = table()
    (cell,) = result.cells.values()
    assert math.isnan(cell.estimate.value)
    assert [result.footnotes[mark] for mark in cell.marks] == ["1 of 3 scores is not a number"]


def test_a_diverged_run_counts_as_a_random_policy(table, seeds):
    seeds("sac", [100, 104])
    seeds("sac", [90], first=2, status="diverged", reason="critic_loss is nan")
    result = table()
    (cell,) = result.cells.values()
    (diverged,) = [run for run in cell.runs if run["status"] == "diverged"]
    assert cell.estimate.value == pytest.approx((204 + result.random["HalfCheetah-v4"]) / 3)
    assert diverged in cell.runs
    (note,) = result.footnotes
    assert note == "1 of 3 runs diverged and counts as a random policy; by completed episodes the value would be 98.00"


def test_runs_that_do_not_count_are_counted(table, seeds):
    seeds("sac", [1, 2])
    seeds("sac", [3], status="failed")
    seeds("ampo", [3], status="failed")
    result = table()
    assert result.footnotes == ("1 failed not counted",)
    assert result.notes[-1] == "2 runs left out: 2 failed"
    assert result.at(("ampo",), ("HalfCheetah-v4",)).estimate.n == 0
    assert {cell.marks for cell in result.cells.values()} == {(0,)}


def test_only_a_tested_cell_is_the_best(table, seeds):
    seeds("sac", [100, 101, 102, 103, 104])
    seeds("mdpo", [99, 101, 102, 103, 106])
    seeds("ampo", [10, 11, 12, 13, 14])
    seeds("dapo-kl", [900, 901, 902])
    cells = {row: cell for (row, _), cell in table().cells.items()}
    assert {row for (row,), cell in cells.items() if cell.best} == {"sac", "mdpo"}
    assert cells["ampo",].p < 0.001
    assert math.isnan(cells["dapo-kl",].p)


def test_environments_of_equal_weight(table, seeds):
    seeds("sac", [0, 10], "HalfCheetah-v4")
    seeds("sac", [100, 100, 100, 100], "Hopper-v4")
    seeds("mdpo", [5, 5], "HalfCheetah-v4")
    seeds("mdpo", [50, 50], "Hopper-v4")
    with pytest.raises(BadInput, match="scores on different environments have no common mean"):
        table(cols=())
    result = table(cols=(), normalise="sac")
    sac, mdpo = (result.at((algo,), ()) for algo in ("sac", "mdpo"))
    assert sac.estimate.value == pytest.approx(1.0)
    assert mdpo.estimate.value == pytest.approx(
        sum(
            (x - result.random[env]) / (one - result.random[env])
            for env, x, one in (("HalfCheetah-v4", 5, 5), ("Hopper-v4", 50, 100))
        )
        / 2
    )
    assert list(sac.strata) == ["HalfCheetah-v4", "Hopper-v4"]


def test_an_ablation_names_what_changes_and_refuses_what_is_none(table, seeds):
    seeds("dapo-kl", [10, 12, 14], settings={"beta": 0.5, "m": 10})
    seeds("dapo-kl", [20, 22, 24], settings={"beta": 0.1, "m": 10})
    seeds("sac", [1])
    asked = {"base": "beta = 0.5", "vary": ("beta",)}
    result = table(**asked)
    assert result.row_labels == [("base",), ("beta = 0.1",)]
    assert result.base == ("base",)
    difference = result.at(("beta = 0.1",), ("HalfCheetah-v4",)).difference
    assert difference.value == 10.0
    assert difference.low < 10 < difference.high
    assert "1 run left out: 1 of another algorithm than the base" in result.notes
    odd = seeds("dapo-kl", [20], settings={"beta": 0.1, "m": 3})[0]
    with pytest.raises(BadInput, match=rf"run {odd} differs from the base also in m \(3, not 10\)"):
        table(**asked)


def test_steps_to_a_return_that_is_never_reached(table, record_run):
    record_run(final=[50.0], seed=0)
    record_run(final=[500.0], seed=1)
    result = table(measure=Measure("steps-to", 100.0), statistic="median")
    (cell,) = result.cells.values()
    assert cell.estimate.value == math.inf
    assert result.footnotes == ("1 of 2 runs never reached a return of 100",)


def test_nothing_is_a_table_without_cells(table):
    assert table(choice=Choice("seed = 99")).cells == {}


def test_labels_are_sorted_as_people_count():
    values = [10, 9.5, None, "auto", True, "[256, 256]"]
    ordered = sorted(((value,) for value in values), key=labels.label_order)
    assert [value for (value,) in ordered] == [True, 9.5, 10, "[256, 256]", "auto", None]
    assert [labels.key_text(value) for value in (None, True, 3e-4)] == ["–", "true", "0.0003"]
    assert labels.label_text("tag", None) == "no tag"
    assert labels.label_text("beta", 0.5) == "beta = 0.5"
