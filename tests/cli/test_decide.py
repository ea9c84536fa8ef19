"""dapo decide, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import algorithms
from dapo_cli.analysis.claims import claims_file
from dapo_cli.configuration.run_configuration import load_algorithm
from dapo_cli.filters.grammar import AllOf, AnyOf, Comparison, Node, Not, parse

CLAIMS = """
margin = 0.2
seeds = 6
envs = ["HalfCheetah-v4", "Hopper-v4"]

[[claim]]
name = "P1"
text = "DAPO-KL is comparable to SAC"
rule = "comparable"
runs = "algo = 'dapo-kl' and beta = 0.5"
base = "algo = 'sac'"

[[claim]]
name = "P4"
text = "DAPO-KL is sensitive to β"
rule = "sensitive"
runs = "algo = 'dapo-kl'"
over = ["beta"]
groups = 2
envs = ["HalfCheetah-v4"]
seeds = 5
"""


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    file = tmp_path / "claims.toml"
    file.write_text(CLAIMS, encoding="utf-8")
    return file


@pytest.fixture
def runs(record_run: Callable[..., str]) -> None:
    """Five seeds: SAC and DAPO-KL (β 0.5) alike, DAPO-KL with β 0.1 far below; nothing on Hopper."""
    for seed in range(5):
        record_run(seed=seed, final=[1000.0 + seed])
        for beta, mean in ((0.5, 1010.0), (0.1, 300.0)):
            record_run("dapo-kl", seed=seed, final=[mean + seed], settings={"beta": beta})


def test_claims_are_decided_by_the_runs(dapo: Any, claims: Path, runs: None) -> None:
    records = json.loads(dapo("decide", str(claims), "--json").out)
    assert [(r["claim"], r["env"], r["n"], r["n_base"], r["verdict"], r["interim"]) for r in records] == [
        ("P1", "HalfCheetah-v4", 5, 5, "supported", True),
        ("P1", "Hopper-v4", 0, 0, "supported", True),
        ("P4", "HalfCheetah-v4", 5, 0, "supported", False),
    ]
    random = -280.0  # about what a random policy returns
    assert records[0]["value"] == pytest.approx(10 / (1002 - random), rel=0.02)
    assert records[2]["words"].startswith("beta = 0.5 over beta = 0.1, p = ")
    text = dapo("decide", str(claims), "--only", "P4")
    assert "supported" in text.out
    assert "P1" not in text.out
    assert dapo("decide", str(claims), "--only", "P4", "--markdown").out.splitlines()[2].startswith("| P4 | DAPO-KL is")


def test_before_the_runs_nothing_is_decided(dapo: Any, claims: Path, results: Any) -> None:
    """Also where no run has the setting yet that a claim is about."""
    records = json.loads(dapo("decide", str(claims), "--json").out)
    assert {record["verdict"] for record in records} == {"no runs yet"}


def test_a_misspelt_setting_is_not_taken_for_runs_to_come(dapo: Any, claims: Path, runs: None) -> None:
    claims.write_text(CLAIMS.replace("beta = 0.5", "betta = 0.5"), encoding="utf-8")
    record, *_ = json.loads(dapo("decide", str(claims), "--only", "P1", "--json").out)
    assert (record["verdict"], record["words"]) == (
        "runs are missing",
        "no run has a field 'betta' yet: did you mean 'beta'?",
    )


def test_few_runs_of_the_scale(dapo: Any, claims: Path, runs: None, record_run: Any) -> None:
    """One run is no scale; five are one, and leave a verdict interim where six are registered."""
    for name, many, found in (("lone", 1, "undecided"), ("some", 5, "holds")):
        for seed in range(many):
            record_run(name, seed=seed, final=[1000.0])
        claims.write_text(f"scale = \"algo = '{name}'\"\n{CLAIMS}".replace("seeds = 5", "seeds = 6"), encoding="utf-8")
        for record in json.loads(dapo("decide", str(claims), "--json").out):
            if record["n"]:
                assert (record["n_scale"], record["finding"], record["interim"]) == (many, found, True)


def test_what_is_missing_does_not_leave_a_claim_open(dapo: Any, claims: Path, runs: None, record_run: Any) -> None:
    """One run on Hopper, of the base: no environment that was tried, and the other one decides."""
    record_run(env="Hopper-v4", final=[1000.0])
    record_run("dapo-kl", "Hopper-v4", final=[1000.0], settings={"beta": 0.1})
    half, hopper = json.loads(dapo("decide", str(claims), "--only", "P1", "--json").out)
    assert (half["verdict"], half["finding"], hopper["finding"]) == ("supported", "holds", "missing")
    record_run("dapo-kl", "Hopper-v4", seed=1, final=[1000.0], settings={"beta": 0.5})
    half, hopper = json.loads(dapo("decide", str(claims), "--only", "P1", "--json").out)
    assert (half["verdict"], hopper["finding"]) == ("undecided at this budget", "undecided")


def test_runs_that_diverged_are_told(dapo: Any, claims: Path, runs: None, record_run: Any) -> None:
    record_run("dapo-kl", seed=7, status="diverged", final=None, settings={"beta": 0.5})
    record, *_ = json.loads(dapo("decide", str(claims), "--only", "P1", "--json").out)
    assert (record["n"], record["verdict"], record["remarks"]) == (
        6,
        "undecided at this budget",
        ["1 diverged, as a random policy"],
    )


def test_an_environment_of_ones_own(dapo: Any, refused: Any, tmp_path: Path, claims: Path, record_run: Any) -> None:
    for seed in range(6):
        record_run(env="Mine-v0", seed=seed, final=[10.0 + seed])
        record_run("dapo-kl", "Mine-v0", seed=seed, final=[10.0 + seed], settings={"beta": 0.5})
    claims.write_text(CLAIMS.replace('"HalfCheetah-v4", "Hopper-v4"', '"Mine-v0"'), encoding="utf-8")
    assert "name it in a file, --references FILE.toml" in refused("decide", str(claims), "--only", "P1")
    (tmp_path / "returns.toml").write_text('["Mine-v0"]\nrandom = -20\n', encoding="utf-8")
    records = json.loads(
        dapo("decide", str(claims), "--only", "P1", "--references", str(tmp_path / "returns.toml"), "--json").out
    )
    assert [(r["verdict"], r["interim"], r["value"]) for r in records] == [("supported", False, 0)]


def test_runs_that_are_not_alike_are_refused(refused: Any, claims: Path, runs: None, record_run: Any) -> None:
    claims.write_text(CLAIMS.replace(" and beta = 0.5", ""), encoding="utf-8")
    assert refused("decide", str(claims)) == (
        "claim P1: runs on HalfCheetah-v4 that should be seeds of one configuration differ in beta: narrow the "
        "filters, or name it with over"
    )
    claims.write_text(CLAIMS, encoding="utf-8")
    record_run(seed=3)
    assert "have one configuration and the same seed 3, but not the same results" in refused("decide", str(claims))


def test_two_sides_that_must_not_be_compared_are_refused(
    refused: Any, claims: Path, runs: None, record_run: Any
) -> None:
    for seed in range(5):
        record_run("ppo", seed=seed, steps=2000, final=[1000.0 + seed])
    for old, new in (
        ("base = \"algo = 'sac'\"", "base = \"algo = 'ppo'\""),
        ("margin", "scale = \"algo = 'ppo'\"\nmargin"),
    ):
        claims.write_text(CLAIMS.replace(old, new), encoding="utf-8")
        assert "claim P1: runs on HalfCheetah-v4 differ in step budget" in refused("decide", str(claims))


def test_groups_and_seeds_that_are_missing_make_it_interim(dapo: Any, claims: Path, runs: None) -> None:
    claims.write_text(CLAIMS.replace("groups = 2", "groups = 3"), encoding="utf-8")
    (record,) = json.loads(dapo("decide", str(claims), "--only", "P4", "--json").out)
    assert (record["groups"], record["verdict"], record["interim"]) == (2, "supported", True)


def test_a_scale_that_measures_nothing_decides_nothing(dapo: Any, claims: Path, runs: None, record_run: Any) -> None:
    for seed in range(5):
        record_run("lost", seed=seed, final=[-400.0 - seed])
    for scale, words in (("lost", "learned nothing beyond a random policy"), ("none", "no runs of the scale yet")):
        claims.write_text(f"scale = \"algo = '{scale}'\"\n{CLAIMS}", encoding="utf-8")
        records = json.loads(dapo("decide", str(claims), "--json").out)
        assert words in records[0]["words"]
        assert {record["finding"] for record in records} <= {"undecided", "missing"}


def test_what_a_reader_should_know_is_said(dapo: Any, claims: Path, runs: None, record_run: Any) -> None:
    record_run(seed=9, status="failed", final=None)
    text = dapo("decide", str(claims), "--only", "P1").out
    assert "1 run left out: 1 failed" in " ".join(text.split())


def test_another_measure(dapo: Any, refused: Any, claims: Path, runs: None) -> None:
    records = json.loads(dapo("decide", str(claims), "--measure", "auc", "--json").out)
    assert {record["measure"] for record in records} == {"auc"}
    assert "is no return" in refused("decide", str(claims), "--measure", "speed")


def test_a_name_with_a_quote_selects_nothing_else(dapo: Any, claims: Path, runs: None) -> None:
    hostile = CLAIMS.replace('envs = ["HalfCheetah-v4", "Hopper-v4"]', "envs = [\"x' or env = 'HalfCheetah-v4\"]")
    claims.write_text(hostile, encoding="utf-8")
    outcome = dapo("decide", str(claims), "--only", "P1")
    assert outcome.code == 2
    assert "nobody told the return of a random policy" in outcome.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('rule = "comparable"', 'rule = "comparible"', "claim P1: there is no rule 'comparible': did you mean"),
        ("base = \"algo = 'sac'\"", "", 'claim P1: "comparable" than what? Name the runs with base = "…"'),
        ('over = ["beta"]', 'over = ["beta"]\nbase = "a = 1"', 'claim P4: "sensitive" has no base: leave it out'),
        ('over = ["beta"]', "", 'claim P4: "sensitive" to what? Name the settings with over = ["…"]'),
        ("margin = 0.2", "margin = -1", "claim P1: margin: input should be greater than 0"),
        ("margin = 0.2", "margn = 0.2", "nothing is called 'margn' there: did you mean 'margin'"),
        ('over = ["beta"]', 'ovr = ["beta"]', "claim P4: nothing is called 'ovr': did you mean 'over'"),
        ('name = "P4"', 'name = "P1"', "two claims are called 'P1'"),
        ("beta = 0.5", "beta == == 0.5", "claim P1: "),
        ("seeds = 6", "seeds = 3", "claim P1: seeds: input should be greater than or equal to 5"),
        ("[[claim]]", "[claims]", "is not valid TOML"),
        ("groups = 2", "", 'claim P4: several groups need both over = ["…"]'),
        ("seeds = 6", "seeds = '6'", "claim P1: seeds: input should be a valid integer"),
        ('"HalfCheetah-v4", "Hopper-v4"', '"Hopper-v4", "Hopper-v4"', "claim P1: an environment stands twice in envs"),
        ("margin = 0.2", 'measure = "fnal"', "claim P1: measure: no measure 'fnal'"),
    ],
)
def test_a_file_that_cannot_be(refused: Any, claims: Path, results: Any, old: str, new: str, message: str) -> None:
    claims.write_text(CLAIMS.replace(old, new, 1) if new != "[claims]" else CLAIMS.replace(old, new), encoding="utf-8")
    assert message in refused("decide", str(claims))


def test_no_such_claim_or_file(refused: Any, claims: Path, results: Any) -> None:
    assert "has no claim 'P2'" in refused("decide", str(claims), "--only", "P2")
    assert "cannot read" in refused("decide", "nowhere.toml")
    claims.write_text("margin = 0.2\n", encoding="utf-8")
    assert "there is no claim" in refused("decide", str(claims))


def test_the_claims_of_the_project_name_what_there_is(dapo: Any, results: Any) -> None:
    """Before the runs nothing would tell a misspelt algorithm or hyperparameter from one that was not run yet."""
    file = Path(__file__).parents[2] / "docs" / "claims.toml"
    assert {r["verdict"] for r in json.loads(dapo("decide", str(file), "--json").out)} == {"no runs yet"}
    known = {"algo", "env", "seed", "steps"} | {
        field for name in algorithms.names() for field in load_algorithm(name).Config.model_fields
    }
    for claim in claims_file.read(file):
        fields: list[str] = [*claim.over]
        for text in filter(None, (claim.runs, claim.base, claim.scale, claim.where)):
            for comparison in comparisons(parse(text)):
                fields.append(comparison.field)
                if comparison.field == "algo":
                    assert comparison.literals[0].text in {*algorithms.names(), "sac-sb3"}, claim.name
        assert set(fields) <= known, claim.name


def comparisons(node: Node) -> Iterator[Comparison]:
    match node:
        case Comparison():
            yield node
        case Not(inner):
            yield from comparisons(inner)
        case AllOf(nodes) | AnyOf(nodes):
            for one in nodes:
                yield from comparisons(one)
