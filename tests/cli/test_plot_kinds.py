"""dapo plot sensitivity, profile, improvement and intervals, as a user types them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

KINDS = {
    "curves": (),
    "sensitivity": ("--x", "beta", "--where", "beta != null"),
    "profile": ("--normalise", "sac"),
    "improvement": ("--base", "algo = sac"),
    "intervals": ("--normalise", "sac"),
}


@pytest.fixture
def runs(record_run) -> None:
    """Two algorithms on two environments, three seeds each, one of them at two values of beta; a failed run."""
    for seed in range(3):
        for env in ("HalfCheetah-v4", "Hopper-v4"):
            record_run(env=env, seed=seed, final=[1000.0 + seed])
            for beta in (0.1, 0.5):
                record_run("dapo-kl", env, seed=seed, final=[2000.0 + 100 * seed * beta], settings={"beta": beta})
    record_run(env="Hopper-v4", status="failed")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_its_file_and_says_what_it_shows(dapo, runs, tmp_path, kind):
    outcome = dapo("plot", kind, *KINDS[kind])
    assert outcome.code == 0, outcome.err
    first, caption = outcome.err.splitlines()
    assert first == f"wrote {kind}.pdf"
    assert caption.endswith(".")
    assert "1 run left out: 1 failed." in caption or kind == "sensitivity"
    assert Path(f"{kind}.pdf").read_bytes().startswith(b"%PDF-")
    assert b"/Subtype /Type3" not in Path(f"{kind}.pdf").read_bytes()
    assert len(outcome.out.splitlines()) > 2
    assert {path.name for path in tmp_path.iterdir() if "runs.db" not in path.name} == {f"{kind}.pdf"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_again_and_another_width(dapo, runs, kind):
    dapo("plot", kind, *KINDS[kind], "--out", "a.svg", "--out", "a.pgf", "--style", "column")
    dapo("plot", kind, *KINDS[kind], "--out", "b.svg", "--out", "b.pgf", "--style", "column")
    for end in ("svg", "pgf"):
        assert Path(f"a.{end}").read_bytes() == Path(f"b.{end}").read_bytes()
    assert 'width="244.8pt"' in Path("a.svg").read_text(encoding="utf-8")  # 3.4 inches
    dapo("plot", kind, *KINDS[kind], "--out", "b.svg", "--style", "page")
    assert 'width="504pt"' in Path("b.svg").read_text(encoding="utf-8")


def test_the_numbers_of_sensitivity(dapo, runs):
    outcome = dapo("plot", "sensitivity", "--x", "beta", "--json")
    points = json.loads(outcome.out)
    assert [(point["env"], point["algo"], point["beta"], point["n"]) for point in points] == [
        (env, "dapo-kl", beta, 3) for env in ("HalfCheetah-v4", "Hopper-v4") for beta in (0.1, 0.5)
    ]
    assert points[1]["value"] == 2050.0
    assert outcome.err.splitlines() == ["1 run left out: 1 failed", "6 runs have no beta"]
    table = json.loads(dapo("compare", "--by", "beta", "--json", "--where", "algo = 'dapo-kl'").out)
    assert [row["low"] for row in table] == pytest.approx([points[i]["low"] for i in (0, 2, 1, 3)])


def test_the_numbers_of_improvement(dapo, runs):
    (pair,) = json.loads(
        dapo("plot", "improvement", "--pool-over", "beta", "--json", "--seed", "3", "--resamples", "500").out
    )
    assert (pair["algo"], pair["other_algo"], pair["value"], pair["environments"]) == ("dapo-kl", "sac", 1.0, 2)
    assert pair["method"] == "exact bound"
    assert 0.5 < pair["low"] < 1.0 == pair["high"]


def test_the_numbers_of_profile_and_intervals(dapo, runs):
    asked = ["--normalise", "sac", "--pool-over", "beta", "--json"]
    profile, _ = json.loads(dapo("plot", "profile", *asked).out)
    assert (profile["algo"], profile["n"]) == ("dapo-kl", 12)
    assert len(profile["threshold"]) == len(profile["fraction"]) == len(profile["low"])
    rows = json.loads(dapo("plot", "intervals", *asked).out)
    assert [row["statistic"] for row in rows] == ["mean", "median", "iqm", "gap"] * 2
    pooled = json.loads(dapo("compare", "--pooled", "--stat", "iqm", *asked).out)
    assert [row["value"] for row in rows if row["statistic"] == "iqm"] == [row["value"] for row in pooled]
    assert [row["low"] for row in rows if row["statistic"] == "iqm"] == [row["low"] for row in pooled]


def test_a_median_curve(dapo, runs):
    first, *_ = json.loads(dapo("plot", "--stat", "median", "--pool-over", "beta", "--json").out)
    assert (first["median"][-1], first["band"]) == (2015.0, "ci")
    outcome = dapo("plot", "--stat", "iqm", "--pool-over", "beta", "--out", "a.svg")
    assert outcome.err.splitlines()[1].startswith("Lines: interquartile mean of n runs (fewer than 4: mean)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("pie", "invalid value for '[KIND]'"),
        ("sensitivity", "--x: against which hyperparameter? Name it, such as --x beta"),
        ("sensitivity --x algo", "--x: algo tells lines or panels apart"),
        ("profile", "a profile compares normalised scores: add --normalise"),
        ("intervals", "scores on different environments have no common mean"),
        ("improvement --base algo=nope", "--base: it matches no whole row"),
        ("improvement --where algo=sac", "one row cannot be better than another"),
        ("profile --normalise sac --where algo~kl", "--normalise: no run of 'sac' is selected"),
        ("profile --y return", "--y: dapo plot profile does not take it: leave it out, or use dapo plot curves"),
        ("--measure best", "--measure: dapo plot curves does not take it"),
        ("--x beta", "--x: dapo plot curves does not take it: leave it out, or use dapo plot sensitivity"),
        ("--stat gap", "--stat: the optimality gap needs normalised scores"),
        ("--stat median --band std", "--band: a standard deviation is about the mean"),
        ("intervals --where seed=9", "no run to draw: see what there is with dapo runs"),
        ("improvement --measure bets", "--measure: no measure 'bets': did you mean 'best'"),
        ("--style slide", "invalid value for '--style'"),
    ],
)
def test_bad_input(refused, runs, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert refused("plot", *arguments.split()).startswith(message)
    assert sorted(tmp_path.iterdir()) == before


def test_too_many_rows(refused, record_run):
    for number in range(67):
        record_run(f"algorithm-{number}")
    assert refused("plot", "intervals").startswith("--by: 67 rows do not fit on a page: choose at most 66")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_pgf_compiles_with_nothing_but_pgf(dapo, runs, record_run, tmp_path):
    for name in (r"$\frac{1}$", "a_b^c$", "算法-v0", "\x1b[2J\n\u202e", "x" * 200, "ünï–µ"):
        record_run(name, "Hopper-v4")
    inputs = ""
    for kind, arguments in KINDS.items():
        where = [] if kind == "sensitivity" else ["--where", "env ~ Hopper"]
        assert dapo("plot", kind, *arguments, *where, "--out", f"{kind}.pgf").code == 0
        inputs += f"\\input{{{kind}.pgf}}\n\n"
    text = "\\documentclass{article}\n\\usepackage{pgf}\n\\begin{document}\n" + inputs + "\\end{document}\n"
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert process.returncode == 0, process.stdout.decode(errors="replace")[-2000:]
    log = (tmp_path / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert "Missing character" not in log
