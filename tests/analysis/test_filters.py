"""What filters mean, on a real database."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from dapo_cli.errors import BadInput
from dapo_cli.filters.sql import condition
from store.records import runs


@pytest.fixture
def matching(results) -> Callable[[str], list[str]]:
    """The notes of the runs that match a filter, sorted."""
    return lambda text: sorted(row["note"] for row in runs.listing(results, where=condition(results, text)))


@pytest.fixture
def named(results, record_run) -> None:
    """Runs that are told apart by their notes."""
    record_run(
        "sac", note="sac", seed=1, final=[10.0], dirty=True, settings={"temperature": "auto", "layer_norm": False}
    )
    record_run(
        "dapo-kl",
        note="low",
        final=[20.0],
        dirty=False,
        tags=["paper", "100%"],
        settings={"beta": 0.1, "temperature": 0.2, "layer_norm": True, "hidden_sizes": [256, 256], "m": 10},
    )
    record_run(
        "dapo-kl",
        "Hopper-v4",
        note="high",
        final=None,
        status="failed",
        tags=["old_paper"],
        settings={"beta": 1, "temperature": 0.2, "clip": math.inf, "m": None, "word": "1"},
    )
    record_run("dapo-kl", "Hopper-v4", note="dead", final=[math.nan], status="running", settings={"beta": math.nan})


ALL = ["dead", "high", "low", "sac"]


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        # columns
        ("algo = sac", ["sac"]),
        ("algo != sac", ["dead", "high", "low"]),
        ("algo in (sac, ppo)", ["sac"]),
        ("algo not in (sac, ppo)", ["dead", "high", "low"]),
        ("env ~ CHEETAH", ["low", "sac"]),
        ("env !~ CHEETAH", ["dead", "high"]),
        ("env ~ '%'", []),
        ("env ~ '_'", []),
        ("seed >= 1", ["sac"]),
        ("seed = 1.0", ["sac"]),
        ("steps = 1e3", ALL),
        ("seed < 99999999999999999999999", ALL),
        ("created_at >= 2026-01-01", ALL),
        ("created_at < 2026-01-01", []),
        ("dirty = true", ["sac"]),
        ("dirty = 0", ["low"]),
        ("dirty = null", ["dead", "high"]),
        ("dirty != true", ["dead", "high", "low"]),
        ("commit = null", ALL),
        ("commit != null", []),
        ("commit != abc", ALL),
        ("not commit ~ abc", ALL),
        ("note in (low, null)", ["low"]),
        ("commit in (abc, null)", ALL),
        # the effective status
        ("status = interrupted", ["dead"]),
        ("status in (running, failed)", ["high"]),
        ("status != completed", ["dead", "high"]),
        # the final return
        ("final > 10", ["low"]),
        ("final = null", ["high"]),
        ("final != null", ["dead", "low", "sac"]),
        ("final = nan", ["dead"]),
        ("final in (nan, null)", ["dead", "high"]),
        ("final < inf", ["low", "sac"]),
        ("not (final > 10)", ["dead", "high", "sac"]),
        # tags
        ("tag = paper", ["low"]),
        ("tag ~ paper", ["high", "low"]),
        ("tag !~ paper", ["dead", "sac"]),
        ("tag ~ '%'", ["low"]),
        ("tag != paper", ["dead", "high", "sac"]),
        ("tag = null", ["dead", "sac"]),
        ("tag in (paper, null)", ["dead", "low", "sac"]),
        # hyperparameters
        ("beta = 0.1", ["low"]),
        ("beta = 1.0", ["high"]),
        ("beta < 0.5", ["low"]),
        ("beta > 0", ["high", "low"]),
        ("beta = 0", []),
        ("beta != 0.1", ["dead", "high", "sac"]),
        ("not beta = 0.1", ["dead", "high", "sac"]),
        ("beta = null", ["sac"]),
        ("beta != null", ["dead", "high", "low"]),
        ("beta in (0.1, null)", ["low", "sac"]),
        ("beta = nan", ["dead"]),
        ("beta = NaN", ["dead"]),
        ("beta in (nan, 0.1)", ["dead", "low"]),
        ("beta != nan", ["high", "low", "sac"]),
        ("clip = inf", ["high"]),
        ("clip > 1", ["high"]),
        ("clip < inf", []),
        ("clip > 1e300", ["high"]),
        ("clip = 0", []),
        ("temperature = auto", ["sac"]),
        ("temperature = 0.2", ["high", "low"]),
        ("temperature = 2e-1", ["high", "low"]),
        ("temperature < 1", ["high", "low"]),
        ("temperature ~ AUT", ["sac"]),
        ("layer_norm = true", ["low"]),
        ("layer_norm = false", ["sac"]),
        ("layer_norm = 1", []),
        ("hidden_sizes = '[256,256]'", ["low"]),
        ("hidden_sizes = '[256, 256]'", ["low"]),
        ("m = null", ["dead", "high", "sac"]),
        ("word = 1", ["high"]),
        ("beta < 0.5 and m = 10 or algo = sac", ["low", "sac"]),
        ("not (algo = sac or beta < 0.5)", ["dead", "high"]),
        # not SQL
        ("algo = 'sac'' OR 1=1 --'", []),
        ("algo = '; DROP TABLE run; --'", []),
    ],
)
def test_filters(named, matching, text, notes):
    assert matching(text) == notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bta = 1", "no run has a field 'bta' (character 1): did you mean 'beta'"),
        ("algo=sac and bta = 1", "no run has a field 'bta' (character 14): did you mean 'beta'"),
        ("seed = abc", "seed is a number, not 'abc'"),
        ("seed ~ 1", "seed is a number, '~' searches text: compare it by = or <"),
        ("dirty = maybe", "dirty is true or false, not 'maybe'"),
        ("dirty < 1", "dirty is true or false: compare it by = or !="),
        ("beta < low", "beta < 'low': a number must stand there"),
        ("beta < null", "beta < null: null is only compared by = and !="),
        ("tag < a", "a tag has no order: compare it by =, !=, ~, !~ or in, not by <"),
    ],
)
def test_filters_that_make_no_sense(named, matching, text, message):
    with pytest.raises(BadInput) as caught:
        matching(text)
    assert str(caught.value).startswith(message)


def test_a_long_filter_is_within_the_databases_limits(named, matching):
    assert matching(" or ".join(["beta = 0.1", *["(not algo = sac)"] * 199])) == ["dead", "high", "low"]
    assert matching(f"beta in ({', '.join(map(str, range(9_000)))})") == ["high"]
    assert matching(f"{'not ' * 50}algo = sac") == ["sac"]
