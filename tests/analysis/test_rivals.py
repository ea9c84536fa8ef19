"""Which cells of a table compete: those on the same environments, and only on a scale that means something."""

from __future__ import annotations

import math

import pytest

from dapo_cli.analysis.comparison.build import build
from dapo_cli.analysis.comparison.request import Margin, Request
from dapo_cli.analysis.export import captions
from dapo_cli.errors import BadInput

CHEETAH, HOPPER = "HalfCheetah-v4", "Hopper-v4"


@pytest.fixture
def table(results):
    """Builds the table of `results` that these parts of a request ask for."""
    return lambda **parts: build(results, Request(**{"resamples": 500, **parts}))


@pytest.fixture
def seeds(record_run):
    """Records five runs with final returns around this one."""

    def record(algo, mean, env=CHEETAH, **columns):
        for seed, offset in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
            record_run(algo, env, seed=seed, final=[mean + offset], **columns)

    return record


@pytest.fixture
def two(seeds):
    """SAC the best on one environment, AMPO on the other, whose returns are higher altogether."""
    for algo, on_cheetah, on_hopper in (("sac", 5000, 700), ("ampo", 4000, 900)):
        seeds(algo, on_cheetah)
        seeds(algo, on_hopper, HOPPER)


def best(table):
    return {row + col for (row, col), cell in table.cells.items() if cell.best}


@pytest.mark.parametrize(
    ("rows", "cols", "line"),
    [
        (("algo",), ("env",), "column"),
        (("env",), ("algo",), "row"),
        (("env", "algo"), (), "column among those on the same environments"),
        (("algo", "env"), ("kind",), "column among those on the same environments"),
    ],
)
def test_the_best_is_the_best_on_its_environment(table, two, rows, cols, line):
    found = table(rows=rows, cols=cols)
    keys = found.rows + found.cols
    names = {tuple(dict(zip(keys, at, strict=True))[key] for key in ("algo", "env")) for at in best(found)}
    assert names == {("sac", CHEETAH), ("ampo", HOPPER)}
    assert f"Bold: not distinguishable from the best of the {line} (Welch's t test" in captions.caption(found)


def test_who_lacks_an_environment_competes_with_nobody(table, two, seeds):
    seeds("new", 6000)
    found = table(cols=(), normalise="sac")
    assert best(found) == {("ampo",)}  # 0.9 and 1.3 of SAC
    new = found.at(("new",), ())
    assert new.estimate.value > 1.1
    assert math.isnan(new.p)
    assert [found.footnotes[mark] for mark in new.marks] == ["runs on 1 of the 2 environments"]
    assert "best of the column among those on the same environments" in captions.caption(found)


def test_a_reference_no_better_than_a_random_policy_is_no_scale(table, seeds, tmp_path):
    seeds("sac", -500, "Acrobot-v1")
    seeds("ampo", -300, "Acrobot-v1")
    with pytest.raises(BadInput, match=r"on Acrobot-v1 what stands for 1 \(-500\.0\) is not above a random policy"):
        table(normalise="sac")
    assert table(normalise="ampo").at(("ampo",), ("Acrobot-v1",)).estimate.value == pytest.approx(1.0)
    file = tmp_path / "returns.toml"
    file.write_text('["Acrobot-v1"]\nrandom = -100\nreference = -100\n')
    with pytest.raises(BadInput, match="scores have no scale"):
        table(normalise="file", references=str(file))


def test_a_share_of_nothing_is_no_margin(table, seeds):
    seeds("sac", -500, "Acrobot-v1")
    seeds("ampo", -500, "Acrobot-v1")
    found = table(base="algo = sac", equivalent=Margin.parse("20%"))
    assert found.at(("ampo",), ("Acrobot-v1",)).verdict == "undecided"
    assert "20% of nothing: on Acrobot-v1 the base has learned nothing beyond a random policy" in found.notes
    assert table(base="algo = sac", equivalent=Margin.parse("5")).at(("ampo",), ("Acrobot-v1",)).verdict == "equivalent"
    seeds("sac", 10, "Own-v0")
    assert any(
        "Nobody told the return of a random policy on Own-v0" in note
        for note in table(base="algo = sac", equivalent=Margin.parse("20%")).notes
    )
