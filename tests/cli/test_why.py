"""dapo why: what is behind an exported number."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import statistics
from pathlib import Path

import pytest

from store.records import exports, runs


def export(dapo, *arguments: str, file: str = "t.md") -> str:
    """Writes a table and returns its key."""
    assert dapo("table", *arguments, "--out", file).code == 0
    (key,) = set(re.findall(r"\b([0-9a-f]{8})\b(?= begins|\.1\.1)", Path(file).read_text(encoding="utf-8")))
    return key


def raw(dapo, key: str) -> tuple[dict, dict[str, list[float]]]:
    """What `dapo why --json` says, and what its SQL gives: run id -> returns."""
    facts = json.loads(dapo("why", key, "--json").out)
    returns: dict[str, list[float]] = {}
    with sqlite3.connect("file:runs.db?mode=ro", uri=True) as connection:
        for id_, _, *_, value, kind in connection.execute(facts["sql"]).fetchall():
            returns.setdefault(id_, []).append(math.nan if kind == "nan" else value)
    connection.close()
    return facts, returns


def test_its_sql_gives_the_numbers_again(dapo, family):
    key = export(dapo, "--pool-over", "beta")
    facts, returns = raw(dapo, f"{key}.1.1")
    scores = {id_: statistics.fmean(values) for id_, values in returns.items()}
    assert scores == {run["id"]: run["score"] for run in facts["runs"]}
    assert statistics.fmean(scores.values()) == facts["value"] == 170.0
    assert (facts["n"], facts["labels"]) == (4, {"algo": "dapo-kl", "env": "HalfCheetah-v4"})


@pytest.mark.parametrize(
    ("measure", "score"),
    [
        ("final-sampled", statistics.fmean),
        ("final-train", statistics.fmean),
        ("best", max),
        ("auc", lambda returns: (returns[0] + returns[1]) / 2),
    ],
)
def test_the_sql_of_other_measures(dapo, record_run, measure, score):
    for seed in range(3):
        record_run(seed=seed, final=[50.0 + seed], episodes=[float(seed)] * 20 + [30.0] * 90)
    facts, returns = raw(dapo, f"{export(dapo, '--measure', measure)}.1.1")
    assert {id_: score(values) for id_, values in returns.items()} == {run["id"]: run["score"] for run in facts["runs"]}


def test_ids_are_quoted():
    text = exports.sql_text(exports.raw_numbers("final", ["it's"]))
    assert "'it''s'" in text
    assert sqlite3.complete_statement(text)


def test_what_it_prints(dapo, family):
    key = export(dapo, "--where", "algo ~ dapo", "--pool-over", "beta")
    text = dapo("why", f"{key}.1.2").out
    assert "algo = dapo-kl, env = Hopper-v4" in text
    assert "7.0, the mean of n = 1 runs" in text
    assert "1 failed, 1 interrupted not counted" in text
    assert "dapo table --rows algo --cols env" in text
    assert "--pool-over beta" in text
    assert family["hopper"][:8] in text
    assert text.count("left out") == 3  # two runs, and the note
    listed = json.loads(dapo("why", key, "--json").out)
    assert [cell["key"] for cell in listed["cells"]] == [f"{key}.1.1", f"{key}.1.2"]


def test_a_hyperparameter(dapo, family):
    key = export(dapo, "--hyperparameters", "--format", "csv", "--pool-over", "beta", file="t.csv")
    cells = json.loads(dapo("why", key, "--json").out)["cells"]
    (beta,) = [cell["key"] for cell in cells if cell["setting"] == "beta"]
    facts = json.loads(dapo("why", beta, "--json").out)
    with sqlite3.connect("runs.db") as connection:
        values = {id_: float(value) for id_, _, value, _ in connection.execute(facts["sql"])}
    connection.close()
    assert values == {run["id"]: run["score"] for run in facts["runs"]}
    assert facts["shown"] == "0.1 or 0.5; Hopper-v4: 0.5"


def test_an_export_that_only_a_file_knows(dapo, refused, family):
    Path("t.tex").write_text(dapo("table", "--format", "latex", "--pool-over", "beta").out, encoding="utf-8")
    (key,) = re.findall(r"table (\w{8}) begins", Path("t.tex").read_text(encoding="utf-8"))
    assert refused("why", f"{key}.1.1").startswith(f"no export {key} in runs.db: name the file that holds it")
    assert json.loads(dapo("why", f"{key}.1.1", "t.tex", "--json").out)["value"] == 170.0


def test_the_past_stays_known(dapo, refused, family, results):
    key = export(dapo, "--pool-over", "beta")
    assert dapo("why", f"{key}.1.1").err == ""
    runs.delete(results, [family["kl-low"]])
    assert "have changed since: see dapo verify" in dapo("why", f"{key}.1.1").err
    facts = json.loads(dapo("why", f"{key}.1.1", "--json").out)
    assert facts["value"] == 170.0
    assert [run["exists"] for run in facts["runs"]].count(False) == 1
    Path("u.md").write_text(Path("t.md").read_text(encoding="utf-8").replace(key, "12345678"), encoding="utf-8")
    assert refused("why", "12345678.1.1", "u.md").startswith("the runs behind 12345678 have changed since u.md")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["12"], "'12' is no key"),
        (["0123abcd.1.1"], "no export 0123abcd in runs.db"),
        (["0123abcd.1.1", "none.md"], "cannot read none.md"),
    ],
)
def test_bad_input(refused, family, arguments, message):
    assert refused("why", *arguments).startswith(message)


def test_no_such_cell(dapo, refused, family):
    assert "has no cell 9.9" in refused("why", f"{export(dapo)}.9.9")
