"""One final return on every database: what filters find, what listings show, in which order."""

from __future__ import annotations

import math

import pytest

from dapo_cli.analysis.selection.listing import select_runs
from dapo_cli.filters.sql import condition
from store.records import runs
from store.records.recorder import Recorder

FINALS = {
    "none": [],
    "finite": [40.0, 60.0],
    "inf": [math.inf, 1.0],
    "-inf": [-math.inf, 1.0],
    "both": [math.inf, -math.inf],
    "nan": [math.nan, math.inf],
}


@pytest.fixture
def finals(database, make_run):
    """A run for each of FINALS, whose note is its name."""
    for name, returns in FINALS.items():
        recorder = Recorder(database, make_run(note=name, hyperparameters={"clip": name == "inf" and math.inf}))
        for number, value in enumerate(returns):
            recorder.evaluation(10, "mean", number, value, 1)
        recorder.close("completed")


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("final > 0", {"finite", "inf"}),
        ("final > 49", {"finite", "inf"}),
        ("not (final > 49)", {"none", "-inf", "both", "nan"}),
        ("final < 0", {"-inf"}),
        ("final = inf", {"inf"}),
        ("final = -inf", {"-inf"}),
        ("final < inf", {"finite", "-inf"}),
        ("final = nan", {"both", "nan"}),
        ("final != nan", {"none", "finite", "inf", "-inf"}),
        ("final = null", {"none"}),
        ("final in (50, nan, null)", {"finite", "both", "nan", "none"}),
        ("clip = inf", {"inf"}),
        ("seed = nan", set()),
        ("seed < inf", set(FINALS)),
    ],
)
def test_filters_know_what_is_not_finite(database, finals, where, names):
    assert {row["note"] for row in runs.listing(database, where=condition(database, where))} == names


def test_the_listing_shows_and_sorts_what_the_filters_find(database, finals):
    rows, _ = select_runs(database, sort="-final")
    shown = {row["note"]: str(row["final"]) for row in rows}
    expected = {"none": "None", "finite": "50.0", "inf": "inf", "-inf": "-inf", "both": "nan", "nan": "nan"}
    assert shown == expected
    assert [row["note"] for row in rows][:3] == ["inf", "finite", "-inf"]
    for name, value in shown.items():
        word = "null" if value == "None" else value
        found = runs.listing(database, where=condition(database, f"final = {word}"))
        assert name in {row["note"] for row in found}


@pytest.mark.parametrize("text", ["ÄRGER", "ärger", "Σ", "σ", "β-Lauf", "Β-LAUF"])
def test_searching_ignores_the_case_of_every_alphabet(database, make_run, text):
    make_run(note="Großer Ärger: Σ und Β-Lauf", tags=("Ärger Σ β-lauf",), hyperparameters={"word": "ärger σ β-lauf"})
    make_run(note="100% _")
    for field in ("note", "tag", "word"):
        assert len(runs.listing(database, where=condition(database, f"{field} ~ '{text}'"))) == 1
    assert len(runs.listing(database, where=condition(database, "note ~ '%'"))) == 1
    assert len(runs.listing(database, where=condition(database, "note ~ '_'"))) == 1
