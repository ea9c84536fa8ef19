"""Tables of hyperparameters as text: what is shared, what fits a page, how many digits."""

from __future__ import annotations

import json
import re

import pytest

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.export.parse import tables_in
from dapo_cli.analysis.export.sheets import Style
from dapo_cli.analysis.export.table_export import make
from dapo_cli.analysis.selection.selected import Choice


def test_hyperparameters_shared_once_and_changed_ones_apart(write, results, record_run):
    gamma = {"gamma": 0.99, "hidden_sizes": [8, 8]}
    record_run("sac", settings=gamma)
    record_run("sac", "Hopper-v4", settings=gamma)
    record_run("dapo-kl", settings={**gamma, "beta": 0.5})
    record_run("dapo-kl", "Hopper-v4", settings={**gamma, "beta": 0.1})
    text = write("markdown", hyperparameters=True)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        "| *Shared* |  |  |  |",
        "|  | gamma | 0.99 |  |",
        "|  | hidden sizes | &#91;8, 8] |  |",
        "|  | steps | 1000 |  |",
        "| *Different* |  |  |  |",
        "|  | beta | 0.5; Hopper-v4: 0.1 | – |",
    ]
    cells = json.loads(write("json", hyperparameters=True))["cells"]
    assert [(cell["setting"], cell["of"], cell["value"]) for cell in cells if cell["of"] != "shared"] == [
        ("beta", "dapo-kl", "0.5; Hopper-v4: 0.1")
    ]
    assert r"\multicolumn{2}{l}{{[}8, 8]}" in write("latex", hyperparameters=True)
    assert '<td data-key="' in write("html", hyperparameters=True)
    assert "shared" in write("csv", hyperparameters=True)


@pytest.fixture
def nine(record_run):
    """Nine algorithms on two environments that share one setting and differ in thirty."""
    for number in range(9):
        settings = {f"setting_{index}": index + number / 3 for index in range(30)}
        for env in ("HalfCheetah-v4", "Hopper-v4"):
            changed = {"setting_7": [256, 256]} if env == "Hopper-v4" else {}
            record_run(f"algorithm-{number}", env, settings={**settings, "gamma": 0.99, **changed})


def test_hyperparameters_too_wide_for_a_page_are_set_as_blocks(write, results, nine):
    made = make(results, Request(), Style("latex", hyperparameters=True))
    text = made.text
    assert r"\multicolumn{3}{@{}l}{\emph{Shared}}" in text
    assert [name for name in re.findall(r"\\emph\{(.*?)\}", text) if name != "Shared"] == [
        f"algorithm-{number}" for number in range(9)
    ]
    assert text.count(" & gamma & 0.99 ") == 1
    assert text.count(" & setting 29 & ") == 9
    (found,) = tables_in(text)
    assert [cell.key for cell in found.cells.values()] == [
        made.sheet.key(*at) for at in sorted(made.sheet.entries, key=lambda at: (at[1], at[0]))
    ]
    assert found.cells["Shared & gamma"].fields == {"": "0.99"}
    assert found.cells["algorithm-4 & setting 29"].fields == {"": "30.3333"}
    few = write("latex", hyperparameters=True, choice=Choice(where="algo ~ '-1' or algo ~ '-2'"))
    assert "emph{algorithm" not in few
    assert r"\multicolumn{2}{c}" not in few


def test_what_is_too_tall_for_a_page_runs_over_several(write, nine):
    tall = write("latex", hyperparameters=True)
    assert r"\usepackage{longtable}" in tall.splitlines()[0]
    assert (tall.count(r"\begin{longtable}"), tall.count(r"\begin{table}"), tall.count(r"\caption")) == (1, 0, 1)
    assert r"\usepackage{longtable}" not in write("latex")


def test_hyperparameters_are_shown_with_six_digits_that_tell_them_apart(write, record_run):
    for seed, entropy in enumerate((0.34657359027997264, 0.34657359027997, 0.5493061443340549)):
        settings = {"entropy": entropy, "third": 1 / 3, "rate": 0.0003, "many": 1234567, "size": 1e-12 / 3}
        record_run("sac", seed=seed, settings=settings)
    text = write("markdown", hyperparameters=True, pool_over=("entropy",))
    rows = dict(re.findall(r"^\|  \| (\w+) \| (.*) \|$", text, re.MULTILINE))
    assert rows == {
        "entropy": "0.34657359027997 or 0.34657359027997264 or 0.549306",
        "many": "1234567",
        "rate": "0.0003",
        "size": "3.33333e-13",
        "steps": "1000",
        "third": "0.333333",
    }
    cells = json.loads(write("json", hyperparameters=True))["cells"]
    assert {cell["setting"]: cell["value"] for cell in cells}["third"] == str(1 / 3)
    assert str(1 / 3) in write("csv", hyperparameters=True)
