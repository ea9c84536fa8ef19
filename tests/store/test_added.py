"""What a new setting means for old runs: their value of it, in comparisons, filters, hashes and when they go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import algorithms
from algorithms.core.types import Spaces
from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.selection.grouping import differing
from dapo_cli.analysis.selection.listing import select_runs
from dapo_cli.analysis.selection.selected import Choice, select
from dapo_cli.configuration import run_configuration
from dapo_cli.errors import BadInput
from dapo_cli.filters.sql import condition
from store import frames
from store.records import configurations, runs
from store.schema import added
from store.schema.added import Added, As

GOLDEN = Path(__file__).parents[1] / "golden" / "settings-0.1.jsonl"
OLD = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
"""What runs of release 0.1 have on record, of every algorithm and kind of action, with the hash it gave them."""


def run_of(old: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row = {"id": "0" * 16, "algo": old["algo"], "env": "E-v0", "seed": 0}
    return row, [{"name": name, "value": value, "origin": "default"} for name, value in old["settings"].items()]


def old_run(algo: str, kind: str = "continuous") -> dict[str, Any]:
    (found,) = (old["settings"] for old in OLD if (old["algo"], old["kind"]) == (algo, kind))
    return found


def now(algo: str, *assignments: str) -> dict[str, Any]:
    made = run_configuration.resolve({"algo": algo, "env": "E-v0"}, assignments, directory=Path("/")).resolved(
        Spaces(4, 2)
    )
    return {row["name"]: row["value"] for row in made.rows()}


@pytest.mark.parametrize("old", OLD, ids=lambda old: f"{old['algo']} {old['kind']}")
def test_a_run_of_release_0_1_has_every_setting_and_its_hash(old: dict[str, Any]) -> None:
    restored = run_configuration.restore(*run_of(old))
    today = {*run_configuration.Settings.model_fields, *algorithms.load(old["algo"]).Config.model_fields} - {
        "algo",
        "env",
        "seed",
    }
    whole = added.completed(old["algo"], old["settings"])
    assert set(whole) == today, "declare what a new setting was before it, in store/schema/added.py"
    assert {row["name"]: row["value"] for row in restored.rows()} == whole
    assert run_configuration.identity(restored) == old["configuration"]
    assert configurations.configuration(old["algo"], "E-v0", 0, old["settings"]) == old["configuration"]


def test_runs_are_sorted_by_what_old_ones_had(results, record_run, monkeypatch):
    monkeypatch.setattr(added, "ADDED", (*added.ADDED, Added("word", "then", "initial_temperature", ("sac",))))
    record_run(note="old", settings=old_run("sac"))
    for note, rate, word in (("low", "0.0001", "zeal"), ("high", "0.001", "now")):
        record_run(note=note, settings={**now("sac", f"temperature_learning_rate={rate}"), "word": word})
    record_run("ppo", note="without", settings=old_run("ppo"))
    order = [
        [row["note"] for row in select_runs(results, sort=sort)[0]]
        for sort in ("temperature_learning_rate", "-temperature_learning_rate", "word")
    ]
    assert order == [
        ["low", "old", "high", "without"],
        ["high", "old", "low", "without"],
        ["high", "old", "low", "without"],
    ]


@pytest.mark.parametrize("algo", ["sac", "dapo-kl", "dapo-l2", "ampo"])
def test_an_old_run_and_a_new_one_that_compute_the_same_are_seeds_of_one_configuration(results, record_run, algo):
    record_run(algo, seed=0, settings=old_run(algo))
    record_run(algo, seed=1, settings=now(algo))
    assert differing(select(results, Choice()).runs) == set()
    (cell,) = build.build(results, Request()).cells.values()
    assert cell.estimate.n == 2


def test_an_old_mampo_run_is_not_one_of_the_new_default(results, record_run):
    record_run("mampo", seed=0, settings=old_run("mampo"))
    record_run("mampo", seed=1, settings=now("mampo"))
    assert differing(select(results, Choice()).runs) == {"reading", "fitted_at"}
    record_run("mampo", seed=1, settings=now("mampo", "reading=network", "fitted_at=mixed"))
    assert differing(select(results, Choice("reading = network and fitted_at = mixed")).runs) == set()
    assert len(select(results, Choice("fitted_at = mixed")).runs) == 2


def test_a_new_value_makes_another_configuration(results, record_run):
    record_run(seed=0, settings=old_run("sac"))
    record_run(seed=1, settings=now("sac", "temperature_learning_rate=0.001"))
    assert differing(select(results, Choice()).runs) == {"temperature_learning_rate"}
    rates = dict(frames.runs(results)[["seed", "temperature_learning_rate"]].itertuples(index=False))
    assert rates == {0: 3e-4, 1: 1e-3}


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("temperature_learning_rate = 3e-4", ["old"]),
        ("temperature_learning_rate = 0.001", ["new"]),
        ("temperature_learning_rate < 1e-3", ["old"]),
        ("temperature_learning_rate != 0.001", ["import", "old", "ppo"]),
        ("temperature_learning_rate = null", ["import", "ppo"]),
        ("temperature_learning_rate != null", ["new", "old"]),
        ("word = then", ["old"]),
        ("word in (then, now)", ["new", "old"]),
        ("word ~ HE", ["old"]),
        ("word = null", ["import", "ppo"]),
        ("word < 'then'", None),
        ("size >= 2", ["old"]),
        ("size < 2", ["new"]),
    ],
)
def test_filters_know_what_old_runs_had(results, record_run, monkeypatch, text, notes):
    more = (Added("word", "then", "initial_temperature", ("sac",)), Added("size", 2, "initial_temperature"))
    monkeypatch.setattr(added, "ADDED", (*added.ADDED, *more))
    record_run(note="old", settings=old_run("sac"))
    record_run(note="new", settings={**now("sac", "temperature_learning_rate=0.001"), "word": "now", "size": 1})
    record_run("ppo", note="ppo", settings=old_run("ppo"))
    record_run(note="import", source="a log", settings={"learning_rate": 3e-4})
    if notes is None:
        with pytest.raises(BadInput, match="a number must stand there"):
            condition(results, text)
    else:
        assert sorted(row["note"] for row in runs.listing(results, where=condition(results, text))) == notes


def test_a_setting_that_follows_another_is_left_out_of_the_hash_only_where_it_does(monkeypatch):
    monkeypatch.setattr(added, "ADDED", (Added("new", As("old"), "old"),))
    one = {"old": 0.1, "new": 0.1}
    assert added.counted("sac", one) == {"old": 0.1}
    assert added.counted("sac", {**one, "new": 0.2}) == {"old": 0.1, "new": 0.2}
    assert added.completed("sac", {"old": 0.1}) == one
    assert added.completed("sac", {"other": 1}) == {"other": 1}
