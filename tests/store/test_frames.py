"""The record as frames, and the aggregates behind tables."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from store import frames
from store.records import runs, summaries
from store.records.recorder import Recorder
from store.schema.models import Run


@pytest.fixture
def train(database, make_run):
    """Creates a run with these training returns, and evaluations (step -> returns)."""

    def train(returns=(), evaluations=None, actions="mean", **columns):
        run_id = make_run(**columns)
        recorder = Recorder(database, run_id)
        for number, return_ in enumerate(returns):
            recorder.episode(number, (number + 1) * 10, return_, 10, 0.0, False, True)
        for step, values in (evaluations or {}).items():
            for number, return_ in enumerate(values):
                recorder.evaluation(step, actions, number, return_, 10)
        recorder.close("completed")
        return run_id

    return train


def test_no_runs_give_empty_frames_with_columns(database):
    assert list(frames.runs(database).columns) == [*(column.key for column in Run.__table__.c), "tags"]
    assert "return" in frames.episodes(database, []).columns
    assert "value" in frames.metrics(database, [], ["loss"]).columns
    assert list(frames.final_evaluation(database).columns) == ["step", "mean", "n"]
    assert frames.final_training(database).empty


def test_runs_with_their_settings_and_tags(database, make_run):
    make_run(hyperparameters={"beta": 0.5, "sizes": [8, 8], "seed": 9}, tags=("b", "a"), seed=1)
    make_run(hyperparameters={"temperature": "auto", "beta": None}, seed=2, heartbeat_at="2026-01-01T00:00:00Z")
    frame = frames.runs(database)
    assert frame["seed"].tolist() == [2, 1]  # the run's own, newest first
    assert frame["status"].tolist() == ["interrupted", "running"]
    assert frame["tags"].tolist() == [(), ("a", "b")]
    assert frame["beta"].tolist() == [pd.NA, 0.5]
    assert frame["sizes"].tolist() == [None, (8, 8)]
    assert frame["temperature"].tolist() == ["auto", pd.NA]
    filtered = frames.runs(database, Run.seed == 1)
    assert filtered["beta"].tolist() == [0.5]
    assert "temperature" not in filtered


def test_columns_have_types_to_compute_and_group_by(database, make_run):
    settings = {"beta": 0.5, "m": 10, "clip": True, "act": "relu", "sizes": [8, [8]], "any": "auto", "scale": 1}
    make_run(hyperparameters=settings, seed=1, tags=("a",), steps=100)
    make_run(hyperparameters=settings | {"beta": 1.5, "any": 2, "scale": 0.5}, seed=2, tags=("a",), steps=300)
    make_run(hyperparameters={"big": 2**70}, seed=3)
    frame = frames.runs(database)
    types = {"seed": "Int64", "steps": "Int64", "wall_time": "Float64", "dirty": "boolean", "algo": "string"}
    types |= {"versions": "string", "beta": "Float64", "m": "Int64", "clip": "boolean", "act": "string"}
    types |= {"sizes": "object", "any": "object", "scale": "Float64", "tags": "object", "big": "object"}
    assert {name: str(frame[name].dtype) for name in types} == types
    assert (frame["beta"] * frame["m"] + frame["seed"]).tolist() == [pd.NA, 17.0, 6.0]
    assert frame[frame["clip"]]["seed"].tolist() == [2, 1]
    for key in ("sizes", "tags", "m", "act", "clip", "versions"):
        assert frame[frame["m"].notna()].groupby(key, dropna=False)["steps"].mean().tolist() == [200.0]
    assert frame.groupby("beta")["seed"].sum().to_dict() == {0.5: 1, 1.5: 2}
    assert frame["any"].tolist() == [None, 2, "auto"]


def test_empty_frames_have_the_same_types(database, train):
    full = frames.episodes(database, [train([1.0])])
    for name, dtype in full.select_dtypes(["number", "bool"]).dtypes.items():
        assert frames.episodes(database, [])[name].dtype == dtype
    assert [str(dtype) for dtype in frames.final_training(database, Run.seed == -1).dtypes] == [
        "int64",
        "float64",
        "int64",
    ]
    assert str(frames.runs(database, Run.seed == -1)["steps"].dtype) == "Int64"


def test_rows_of_the_runs_asked_for(database, train):
    one, _, three = train([1.0, 2.0]), train([3.0]), train([4.0], {10: [5.0], 20: [6.0, 7.0]})
    frame = frames.episodes(database, [three, one, three])
    assert frame["return"].tolist() == [number for _, number in sorted([(one, 1.0), (one, 2.0), (three, 4.0)])]
    assert frame["truncated"].tolist() == [True] * 3
    assert frames.evaluations(database, [one, three])["return"].tolist() == [5.0, 6.0, 7.0]


def test_more_runs_than_fit_one_statement(database, train, monkeypatch):
    monkeypatch.setattr(frames, "_AT_ONCE", 2)
    ids = [train([float(seed)]) for seed in range(5)]
    assert sorted(frames.episodes(database, ids)["return"]) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_metrics_by_name(database, make_run):
    run_id = make_run()
    recorder = Recorder(database, run_id)
    recorder.metrics(1, {"a": 1.0, "b": -math.inf})
    recorder.metrics(2, {"a": 2.0, "c": math.nan})
    recorder.close("completed")
    assert frames.metrics(database, [run_id], ["a"])["value"].tolist() == [1.0, 2.0]
    assert frames.metrics(database, [run_id], ["b"])["value"].tolist() == [-math.inf]
    assert len(frames.metrics(database, [run_id])) == 4
    assert runs.latest(database, run_id)["metrics"]["a"] == 2.0


def test_the_last_evaluation_counts(database, train):
    run_id = train(evaluations={10: [100.0], 20: [1.0, 2.0, 6.0]})
    train(evaluations={30: [9.0]}, actions="sampled")
    train([5.0])
    assert summaries.final_evaluation(database) == {run_id: {"step": 20, "mean": 3.0, "n": 3}}
    assert [row["mean"] for row in summaries.final_evaluation(database, actions="sampled").values()] == [9.0]
    assert frames.final_evaluation(database).loc[run_id].tolist() == [20, 3.0, 3]
    assert summaries.final_evaluation(database, Run.id != run_id) == {}


def test_the_last_window_of_training_counts(database, train):
    run_id, short = train(map(float, range(10))), train([5.0])
    assert summaries.final_training(database, window=4) == {
        run_id: {"step": 100, "mean": 7.5, "n": 4},
        short: {"step": 10, "mean": 5.0, "n": 1},
    }
    assert frames.final_training(database, Run.id == run_id).loc[run_id].tolist() == [100, 4.5, 10]


@pytest.mark.parametrize(
    ("returns", "mean"),
    [
        ([1.0, math.nan], math.nan),
        ([1.0, math.inf], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan], math.nan),
    ],
)
def test_a_mean_over_numbers_that_are_not_finite(database, train, returns, mean):
    run_id = train(returns, {1: returns})
    for found in (summaries.final_evaluation(database), summaries.final_training(database)):
        assert str(found[run_id]["mean"]) == str(mean)


def test_where_a_run_stands(database, train, make_run):
    empty = runs.latest(database, make_run())
    assert (empty["episodes"], empty["evaluation"], empty["metrics"]) == ([], None, {})
    assert empty["counts"] == {"episode": 0, "evaluation": 0, "metric": 0, "checkpoint": 0, "event": 1}
    run_id = train([1.0, 2.0, 3.0], {10: [7.0], 30: [8.0, 9.0]})
    found = runs.latest(database, run_id, episodes=2)
    assert [row["number"] for row in found["episodes"]] == [1, 2]
    assert found["episodes"][1] == {
        "number": 2,
        "step": 30,
        "return": 3.0,
        "length": 10,
        "wall_time": 0.0,
        "terminated": False,
        "truncated": True,
    }
    assert found["evaluation"] == {"step": 30, "returns": [8.0, 9.0]}
    assert (found["counts"]["episode"], found["counts"]["evaluation"]) == (3, 3)
