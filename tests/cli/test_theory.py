"""dapo theory, as a user types it."""

from __future__ import annotations

import json

import pytest

from store.records import runs
from store.session import Database


@pytest.fixture(scope="module")
def report():
    """Two mirror maps on MDPs of two sizes: as much of it as is quick."""
    from dapo_cli.theory import theorem_tests, trajectories

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theorem_tests, "MAPS", {"kl": 1.0, "tsallis-1.5": 1.5})
        kept = [s._replace(maps=tuple(m for m in s.maps if m in theorem_tests.MAPS)) for s in theorem_tests.STATEMENTS]
        patch.setattr(theorem_tests, "STATEMENTS", kept)
        patch.setattr(theorem_tests, "SIZES", theorem_tests.SIZES[:2])
        patch.setattr(trajectories, "ITERATIONS", 51)
        return theorem_tests.report(12, 1)


def assert_whole(report, instances):
    assert [record["name"] for record in report["statements"]] == ["T1", "T2", "T3", "T4", "T5", "T6", "T7"]
    for record in report["statements"]:
        assert record["violations"] == 0, record
        assert record["control"]["caught"], record
        assert record["control"]["breaches"] > 0
        assert set(record["tightest_ratio"]) == {"1", "10", "50"}
        assert 0 < record["tightest_ratio"]["50"] <= record["tightest_ratio"]["10"] <= record["tightest_ratio"]["1"]
        assert record["tightest_ratio"]["1"] <= 1 + 1e-6
        assert record["instances"] == instances
    assert "not known to us" in report["note"]


def test_every_theorem_holds_and_every_control_is_caught(report):
    assert_whole(report, 12)


def test_exact_and_inexact_bounds_are_told_apart_and_vacuous_ones_counted(report):
    parts = {record["name"]: record["parts"] for record in report["statements"]}
    assert {name for name, own in parts.items() if "inexact" in own} == {"T5", "T7"}
    assert set(parts["T5"]) == {"inexact"}
    exact, inexact = (parts["T7"][name] for name in ("exact", "inexact"))
    assert inexact["tightest_ratio"]["1"] < 0.5 * exact["tightest_ratio"]["1"]
    assert 0 < exact["vacuous"] < inexact["vacuous"] <= 1
    assert parts["T1"]["exact"]["vacuous"] == parts["T6"]["exact"]["vacuous"] == 0


def test_the_control_of_the_regularised_rate_is_sacs_rate_for_a_small_step(report):
    """γ(1-β)^k would be broken at β = 1 alone, where it is 0."""
    (control,) = (record["control"] for record in report["statements"] if record["name"] == "T6")
    assert set(control["each"]) == {"with SAC's rate γ^{k+1} at β = 0.1"}
    assert control["each"].popitem()[1] > 100


@pytest.mark.slow
def test_for_every_mirror_map_on_a_hundred_mdps(dapo):
    outcome = dapo("theory", "--json", "--instances", "100", "--seed", "2")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert_whole(report, 100)
    maps = {record["name"]: [tally["name"] for tally in record["mirror_maps"]] for record in report["statements"]}
    assert set(maps["T1"]) == set(maps["T2"]) == set(maps["T3"]) == set(maps["T4"])
    assert set(maps["T1"]) == {"kl", "l2", "tsallis-0.5", "tsallis-1.5", "tsallis-3"}
    assert maps["T6"] == ["kl"]


@pytest.mark.parametrize(
    ("function", "statement"),
    [("sublinear", "T2"), ("linear", "T3"), ("one_step", "T4"), ("harm", "T5"), ("regularised", "T6"), ("floor", "T7")],
)
def test_a_bound_that_is_too_small_is_violated(monkeypatch, function, statement):
    """The check itself is checked: a tenth (for ε: nothing) of a bound does not hold, and that is noticed."""
    from algorithms.tabular import bounds
    from dapo_cli.theory import theorem_tests, trajectories

    right = getattr(bounds, function)
    share = 0.0 if function in ("harm", "floor") else 0.1
    monkeypatch.setattr(bounds, function, lambda *args, **kwargs: share * right(*args, **kwargs))
    monkeypatch.setattr(theorem_tests, "MAPS", {"kl": 1.0})
    monkeypatch.setattr(theorem_tests, "STATEMENTS", [s._replace(maps=("kl",)) for s in theorem_tests.STATEMENTS])
    monkeypatch.setattr(trajectories, "ITERATIONS", 20)
    found = {record["name"]: record["violations"] for record in theorem_tests.run(3, 0)}
    assert found[statement] > 0


def test_the_command_prints_a_table_and_its_sources(dapo, monkeypatch, report):
    from dapo_cli.theory import theorem_tests

    monkeypatch.setattr(theorem_tests, "report", lambda *_: report)
    outcome = dapo("theory")
    assert outcome.code == 0
    assert "T7  ‖V*−V^k‖" in outcome.out
    assert "arXiv 2201.07443" in outcome.out
    assert "arXiv 2007.06558" in outcome.out
    assert "not known to us" in outcome.err
    assert max(map(len, outcome.out.splitlines()[:10])) <= 80
    assert "the same with ε" in outcome.out
    printed = json.loads(dapo("theory", "--json").out)
    assert printed["statements"][0]["control"]["what"] == "a step along −Q"

    broken = json.loads(json.dumps(report))
    broken["statements"][2]["violations"] = 3
    monkeypatch.setattr(theorem_tests, "report", lambda *_: broken)
    assert dapo("theory").code == 1
    broken["statements"][2] |= {"violations": 0, "control": {**broken["statements"][2]["control"], "caught": False}}
    outcome = dapo("theory")
    assert outcome.code == 1
    assert "not caught" in outcome.out


def test_results_are_recorded_only_when_asked_for(dapo, monkeypatch, report, tmp_path):
    from dapo_cli.theory import theorem_tests

    monkeypatch.setattr(theorem_tests, "report", lambda *_: report)
    dapo("theory")
    assert not list(tmp_path.iterdir())
    assert dapo("theory", "--db", "theory.db").code == 0
    with Database.read("theory.db") as database:
        listed = runs.listing(database)
    assert {run["kind"] for run in listed} == {"theory"}
    assert {run["status"] for run in listed} == {"completed"}
    assert len(listed) == sum(len(record["mirror_maps"]) for record in report["statements"])
    chosen = ("--db", "theory.db", "--where", "kind = 'theory'", "--json")
    compared = json.loads(dapo("compare", "--measure", "last:tightest_ratio", *chosen).out)
    assert sum(row["n"] for row in compared) == len(listed)
    assert dapo("plot", "--y", "tightest_ratio", *chosen).code == 0


def test_sac_is_drawn_and_recorded(dapo, tmp_path):
    outcome = dapo("theory", "sac", "--instances", "2", "--out", "sac.png", "--out", "sac.svg", "--db", "theory.db")
    assert outcome.code == 0
    assert (tmp_path / "sac.png").read_bytes().startswith(b"\x89PNG")
    assert "mathdefault" not in (tmp_path / "sac.svg").read_text()
    with Database.read("theory.db") as database:
        listed = runs.listing(database)
    assert {(run["algo"], run["env"], run["kind"]) for run in listed} == {
        ("pmd-soft-kl", "garnet-20-5-gamma-0.9", "theory")
    }
    assert {run["seed"] for run in listed} == {0, 1}
    assert '"gap"' in dapo("show", listed[0]["id"], "--db", "theory.db", "--json").out
    chosen = ("--db", "theory.db", "--where", "kind = 'theory'")
    text = dapo("compare", "--measure", "last:gap", "--by", "beta", *chosen).out
    assert "0.0000" not in text
    assert [row["beta"] for row in json.loads(dapo("plot", "--y", "gap", "--by", "beta", *chosen, "--json").out)]
    records = json.loads(dapo("theory", "sac", "--instances", "2", "--json").out)
    assert records[-1]["beta"] == 1
    assert records[-1]["bound_rate"] == pytest.approx(0.9)
    assert all(record["rate"] <= record["bound_rate"] for record in records)


@pytest.mark.slow
def test_rates_are_drawn(dapo, tmp_path):
    outcome = dapo("theory", "rates", "--instances", "3", "--out", "rates.pdf", "--db", "theory.db")
    assert outcome.code == 0
    assert (tmp_path / "rates.pdf").read_bytes().startswith(b"%PDF")
    printed = json.loads(dapo("theory", "rates", "--instances", "3", "--json").out)
    gaps = {record["line"]: record["gap"][-1] for record in printed}
    assert gaps["rank 100"] < 1e-9 < gaps["rank 75"] < gaps["rank 50"] < gaps["rank 25"]
    fixed, growing = (
        {record["line"] for record in printed if record["panel"] == panel and record["gap"][-1] < 1e-3}
        for panel in ("two mirror maps, fixed step", "two mirror maps, growing steps")
    )
    assert (fixed, growing - fixed) == ({"kl, kl", "l2, l2"}, {"kl, l2", "l2, kl"})
    assert gaps["DAPO, 1 solve"] < gaps["AMPO, centred, 1 solve"] < gaps["AMPO, 1 solve"]
    for record in printed:
        if record["bound"]:
            assert all(gap <= bound + 1e-12 for gap, bound in zip(record["gap"], record["bound"], strict=True))


def test_bad_input(refused, tmp_path):
    assert "does not say which kind of figure" in refused("theory", "rates", "--out", "rates.txt")
    assert "dapo theory sac --seed 1" in refused("theory", "--seed", "1", "sac")
    assert "instances" in refused("theory", "--instances", "3")
    assert not list(tmp_path.iterdir())
