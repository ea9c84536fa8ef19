"""A cell is one configuration: how rows split, what is a footnote, which runs are one run."""

from __future__ import annotations

import json
import re

import pytest

from dapo_cli.analysis.claims import decisions
from dapo_cli.analysis.claims.claims_file import Claim
from dapo_cli.analysis.comparison import across_environments, build, changes, sensitivity
from dapo_cli.analysis.comparison.references import read
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.curves import learning_curves
from dapo_cli.analysis.export.sheets import Style
from dapo_cli.analysis.export.table_export import make
from dapo_cli.analysis.selection.selected import Choice
from dapo_cli.errors import BadInput
from dapo_cli.report import page
from store.records import runs, selections
from store.records.recorder import Recorder

CHEETAH, HOPPER = "HalfCheetah-v4", "Hopper-v4"


@pytest.fixture
def table(results):
    """Builds the table of `results` that these parts of a request ask for."""
    return lambda **parts: build.build(results, Request(**parts))


@pytest.fixture
def three_betas(record_run):
    """Three values of β × five seeds of DAPO-KL and five seeds of SAC."""
    for seed in range(5):
        for beta in (0.1, 0.5, 0.9):
            record_run("dapo-kl", seed=seed, final=[100 * beta + seed], settings={"beta": beta, "m": 10})
        record_run("sac", seed=seed, final=[60.0 + seed], settings={"gamma": 0.99})


def counts(table) -> dict:
    return {row: cell.estimate.n for (row, _), cell in table.cells.items()}


def test_three_betas_of_five_seeds_are_three_rows_of_five_in_every_output(results, table, three_betas):
    rows = {("dapo-kl", 0.1): 5, ("dapo-kl", 0.5): 5, ("dapo-kl", 0.9): 5, ("sac", None): 5}
    assert counts(table()) == rows
    assert (table().rows, table().split) == (("algo", "beta"), ("beta",))
    cells = json.loads(make(results, Request(), Style("json")).text)["cells"]
    assert [(cell["algo"], cell["beta"], cell["n"]) for cell in cells] == [(*row, n) for row, n in rows.items()]
    assert {curve.label: curve.n for curve in learning_curves.collect(results, Choice()).lines} == rows
    pooled = across_environments.collect(results, Request())
    assert {row: pooled.runs(row) for row in pooled.labels} == rows
    ablation = table(base="beta = 0.5 and algo = 'dapo-kl'", vary=("beta",), choice=Choice("algo = 'dapo-kl'"))
    assert counts(ablation) == {("base",): 5, ("beta = 0.1",): 5, ("beta = 0.9",): 5}
    of_all = table(base="beta = 0.5 and algo = 'dapo-kl'", vary=("algo",), choice=Choice("beta = null or beta = 0.5"))
    assert counts(of_all) == {("base",): 5, ("sac",): 5}
    text = page.render(results, Request()).decode()
    assert text.count('"n":5') + text.count('"n": 5') >= 4
    points = [point for line in sensitivity.collect(results, Request(), "beta").lines for point in line.points]
    assert [point.cell.estimate.n for point in points] == [5, 5, 5]


def test_an_ablation_of_the_algorithm_does_not_pool_a_rival_of_several_configurations(table, three_betas):
    result = table(base="algo = 'sac'", vary=("algo",))
    assert result.rows == ("configuration", "beta")
    assert counts(result) == {("base", None): 5, ("dapo-kl", 0.1): 5, ("dapo-kl", 0.5): 5, ("dapo-kl", 0.9): 5}


def test_who_wants_to_pool_says_so_and_caption_and_command_say_it(results, table, three_betas):
    asked = {"pool_over": ("beta",)}
    assert counts(table(**asked)) == {("dapo-kl",): 15, ("sac",): 5}
    made = make(results, Request(**asked), Style("latex"))
    assert "Pooled over beta (0.1, 0.5, 0.9), as asked with --pool-over beta." in made.sheet.caption
    assert "--pool-over beta" in made.sheet.command
    assert made.sheet.export != make(results, Request(), Style("latex")).sheet.export
    drawn = learning_curves.collect(results, Choice(), pooled=["beta"])
    assert {curve.label: curve.n for curve in drawn.lines} == {("dapo-kl",): 15, ("sac",): 5}
    assert drawn.notes()[0] == "pooled over beta (0.1, 0.5, 0.9), as asked with --pool-over beta"
    with pytest.raises(BadInput, match="--pool-over: beta is a key of the table"):
        table(rows=("algo", "beta"), **asked)
    with pytest.raises(BadInput, match="--pool-over: env is no setting of a configuration"):
        table(cols=(), rows=("algo",), pool_over=("env",))
    with pytest.raises(BadInput, match="no run has a key 'btea': did you mean 'beta'"):
        table(pool_over=("btea",))


def test_keys_that_were_asked_for_are_not_added_and_algorithms_in_columns_take_theirs_along(table, three_betas):
    assert table(rows=("algo", "beta")).split == ()
    result = table(rows=("env",), cols=("algo",))
    assert (result.rows, result.cols) == (("env",), ("algo", "beta"))
    result = table(rows=("env",), cols=())
    assert result.rows == ("env", "algo", "beta")


def test_what_is_tuned_for_each_environment_stays_one_row_with_a_footnote(table, record_run, results):
    for env, beta in ((CHEETAH, 0.1), (HOPPER, 0.5)):
        values = {"beta": (beta, "command line"), "target_entropy": (beta, "default")}
        for seed in range(2):
            row = {"algo": "dapo-kl", "env": env, "seed": seed, "steps": 1000}
            settings = [{"name": name, "value": x, "origin": origin} for name, (x, origin) in values.items()]
            recorder = Recorder(results, runs.create(results, run=row, hyperparameters=settings))
            recorder.evaluation(1000, "mean", 0, 3000.0 + seed, 1)
            recorder.close("completed")
    result = table()
    assert (result.rows, result.footnotes) == (("algo",), ("beta differs between environments",))
    assert all(cell.marks == (0,) for cell in result.cells.values())
    assert table(cols=(), normalise="dapo-kl").rows == ("algo",)
    assert table(choice=Choice(f"env = '{HOPPER}'")).footnotes == ()


def test_another_algorithms_own_value_for_each_environment_does_not_split_it(table, record_run):
    for env, rate in ((CHEETAH, 0.1), (HOPPER, 0.2)):
        record_run("sac", env, settings={"rate": rate})
        record_run("ppo", env, settings={"rate": 0.1})
    record_run("ppo", HOPPER, settings={"rate": 0.3})
    assert counts(table()).keys() == {("ppo", 0.1), ("ppo", 0.3), ("sac", None)}


def test_how_a_run_was_executed_is_a_footnote(table, record_run):
    for seed in range(2):
        record_run(seed=seed, threads=seed + 1, device="cpu", settings={"compile": "auto", "log_every": 10 + seed})
    result = table()
    assert (result.rows, result.footnotes) == (("algo",), ("runs differ in threads (1, 2), log_every (10, 11)",))


def test_a_long_table_says_how_to_narrow_it(table, record_run):
    for number in range(13):
        record_run("dapo-kl", settings={"beta": number / 13, "m": 1})
    assert table().notes == (
        '13 rows, as runs differ in beta: choose with --where, such as --where "beta = 0.0", '
        "or pool them with --pool-over beta",
    )
    assert table(rows=("algo", "beta")).notes == ()


def test_imports_stand_apart_from_runs_of_the_same_name(table, record_run):
    for seed in range(2):
        record_run(seed=seed, settings={"gamma": 0.99, "m": 1})
        record_run(seed=seed, source="a log")
    assert counts(table()) == {("sac", "a log"): 2, ("sac", None): 2}


def test_runs_that_were_only_tried_while_tuning_make_no_row(table, record_run):
    for beta in (0.1, 0.5):
        record_run("dapo-kl", settings={"beta": beta})
        record_run("dapo-kl", seed=1, settings={"beta": beta + 0.2}, kind="tuning")
        record_run("dapo-kl", seed=1, settings={"beta": beta}, kind="tuning")
        record_run("dapo-kl", seed=2, settings={"beta": 0.9}, status="failed")
    result = table()
    assert list(counts(result)) == [("dapo-kl", 0.1), ("dapo-kl", 0.5), ("dapo-kl", 0.9)]
    assert "6 runs left out: 2 failed, 4 for tuning" in result.notes


def test_runs_that_are_equal_to_the_last_bit_count_once(results, table, record_run):
    first, second = (record_run(final=[7.0], settings={"m": 1}, threads=threads) for threads in (1, 2))
    record_run(final=[8.0], seed=1, settings={"m": 1}, threads=1)
    result = table()
    (cell,) = result.cells.values()
    assert (cell.estimate.n, cell.runs[0]["id"], cell.left_out[0]["id"]) == (2, first, second)
    assert result.footnotes == ("1 equal to another run to the last bit not counted",)
    (line,) = learning_curves.collect(results, Choice()).lines
    assert line.seeds == (0, 1)


def test_runs_of_one_configuration_and_seed_that_are_not_equal_are_refused(results, table, record_run):
    first, second = (record_run(final=[value], settings={"m": 1}) for value in (7.0, 7.000000001))
    line = f"runs {first} and {second} have one configuration and the same seed 0, but not the same results"
    remedy = f"leave one out, such as with --where \"id != '{second}'\""
    for refused in (table, lambda: learning_curves.collect(results, Choice())):
        with pytest.raises(BadInput, match=f"^{line}: {remedy}$"):
            refused()
    assert len(table(choice=Choice(f"id != '{second}'")).cells) == 1


def test_an_import_that_says_the_same_is_the_same_run(table, record_run):
    for source in ("a monitor.csv", "an evaluations.npz"):
        record_run(source=source, settings={"gamma": 0.99})
    (cell,) = table().cells.values()
    assert cell.estimate.n == 1


def test_a_claim_counts_equal_runs_once(results, record_run):
    for seed in range(5):
        record_run("sac", seed=seed, final=[1000.0 + seed])
        record_run("ppo", seed=seed, final=[1000.0 + 2 * seed])
    record_run("ppo", seed=4, final=[1008.0])
    claim = Claim(
        name="a", text="", rule="not worse", runs="algo = 'ppo'", base="algo = 'sac'", envs=[CHEETAH], seeds=5
    )
    (evidence,) = decisions.decide(results, claim, read(None)).evidence
    assert (evidence.runs, evidence.remarks) == (5, ("1 run left out: 1 equal to another run to the last bit",))


@pytest.mark.parametrize("what", ["executed", "tuned", "equal", "left out", "diverged"])
def test_strict_refuses_whatever_a_footnote_reports(results, table, record_run, what):
    record_run(seed=0, threads=1)
    if what == "executed":
        record_run(seed=1, threads=2)
    elif what == "tuned":
        row = {"algo": "sac", "env": HOPPER, "seed": 0, "steps": 1000}
        settings = [{"name": "m", "value": 3, "origin": "file"}]
        recorder = Recorder(results, runs.create(results, run=row, hyperparameters=settings))
        recorder.evaluation(1000, "mean", 0, 1.0, 1)
        recorder.close("completed")
    elif what == "equal":
        record_run(seed=0, threads=1)
    else:
        record_run(seed=1, status="failed" if what == "left out" else "diverged")
    footnote = table().footnotes[0]
    with pytest.raises(BadInput, match=f"^--strict: {re.escape(footnote)}"):
        table(strict=True)


def test_what_changed_since_a_frozen_selection_is_told_row_by_row(results, table, record_run):
    ids = [record_run("dapo-kl", seed=seed, settings={"beta": 0.5}) for seed in range(2)]
    selections.freeze(results, "paper", ids)
    new = record_run("dapo-kl", settings={"beta": 0.1})
    _, (change,) = changes.between(results, table(), "paper")
    assert change.keys == {"env": CHEETAH, "algo": "dapo-kl", "beta": 0.1}
    assert (change.before, change.record()["came"]) == (None, [new])
