"""`dapo export`: what it writes, and that it can be read back."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest

NAMES = {"runs", "episodes", "evaluations", "metrics", "hyperparameters"}
EXAMPLE = Path(__file__).parents[2] / "runs.db.example"


@pytest.fixture
def two_runs(record_run):
    """A completed run with numbers of every kind, and a failed one that was never evaluated."""
    settings = {"beta": 0.5, "sizes": [64, 64], "auto": True, "word": 'a "b", c', "none": None}
    full = record_run(
        "dapo-kl", final=[1.5, math.nan, math.inf], episodes=[-math.inf, 0.1], settings=settings, tags=["a b"]
    )
    return full, record_run("sac", "Hopper-v4", final=None, status="failed", reason="no\nspace", seed=2)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_everything(dapo, two_runs, tmp_path):
    outcome = dapo("export", "--out", "out")
    assert (outcome.code, outcome.out, outcome.err) == (0, "out\n", "wrote 2 runs as csv\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.csv" for name in NAMES}
    runs = table(tmp_path / "out" / "runs.csv")
    assert [(run["id"], run["status"], run["seed"]) for run in runs] == [
        (two_runs[0], "completed", "0"),
        (two_runs[1], "failed", "2"),
    ]
    assert (runs[0]["tags"], runs[0]["note"], runs[1]["reason"]) == ('["a b"]', "", "no\nspace")
    episodes = table(tmp_path / "out" / "episodes.csv")
    assert [(row["run_id"], row["return"], row["truncated"]) for row in episodes] == [
        (two_runs[0], "-inf", "true"),
        (two_runs[0], "0.1", "true"),
    ]
    evaluations = table(tmp_path / "out" / "evaluations.csv")
    assert [row["return"] for row in evaluations if (row["step"], row["actions"]) == ("1000", "mean")] == [
        "1.5",
        "nan",
        "inf",
    ]
    settings = {row["name"]: (row["value"], row["type"]) for row in table(tmp_path / "out" / "hyperparameters.csv")}
    assert settings["sizes"] == ("[64, 64]", "list")
    assert settings["none"] == ("", "null")


def test_parquet_has_types_and_tells_nan_from_missing(dapo, two_runs, tmp_path):
    from pyarrow import parquet

    assert dapo("export", "--format", "parquet", "--out", "out").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.parquet" for name in NAMES}
    runs = parquet.read_table(tmp_path / "out" / "runs.parquet")
    assert {name: str(runs.schema.field(name).type) for name in ("seed", "wall_time", "dirty", "note", "tags")} == {
        "seed": "int64",
        "wall_time": "double",
        "dirty": "bool",
        "note": "string",
        "tags": "list<element: string>",
    }
    assert (runs["tags"].to_pylist(), runs["note"].to_pylist()) == ([["a b"], []], [None, None])
    returns = parquet.read_table(tmp_path / "out" / "evaluations.parquet")["return"]
    assert returns.null_count == 0
    assert sum(math.isnan(value) for value in returns.to_pylist()) == 1


@pytest.mark.parametrize("format_", ["csv", "parquet", "tensorboard"])
def test_the_same_runs_give_the_same_bytes(dapo, two_runs, tmp_path, format_):
    for out in ("one", "two"):
        assert dapo("export", "--format", format_, "--out", out).code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_runs_are_chosen_by_id_or_filter(dapo, two_runs, refused, tmp_path):
    dapo("export", two_runs[1][:8], "--out", "one")
    assert [row["id"] for row in table(tmp_path / "one" / "runs.csv")] == [two_runs[1]]
    dapo("export", "--where", "beta = 0.5", "--out", "two")
    assert [row["id"] for row in table(tmp_path / "two" / "runs.csv")] == [two_runs[0]]
    assert "not both" in refused("export", two_runs[0], "--where", "beta = 0.5", "--out", "three")
    assert "no run to export" in refused("export", "--where", "algo = nothing", "--out", "three")
    assert "no run 'ffffffffffffffffff'" in refused("export", "ffffffffffffffffff", "--out", "three")


def test_a_folder_with_something_in_it_is_refused(dapo, two_runs, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert dapo("export", "--out", "empty").code == 0
    before = contents(tmp_path / "empty")
    assert "empty exists already" in refused("export", "--out", "empty")
    (tmp_path / "file").touch()
    assert "file exists already" in refused("export", "--out", "file")
    assert "cannot write no/where" in refused("export", "--out", "no/where")
    assert contents(tmp_path / "empty") == before


def test_an_export_that_fails_leaves_nothing(dapo, two_runs, refused, tmp_path, monkeypatch):
    from store.records import streaming

    def fail(*_):
        raise OSError(28, "No space left on device")

    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(streaming, "rows", fail)
    assert "cannot write out (No space left on device)" in refused("export", "--out", "out")
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("format_", "module"), [("parquet", "pyarrow"), ("tensorboard", "tensorboard.compat.proto")])
def test_a_missing_package_is_named(two_runs, refused, tmp_path, monkeypatch, format_, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'dapo-cli[{format_}]'" in refused("export", "--format", format_, "--out", "out")
    assert not (tmp_path / "out").exists()


def test_tensorboard_reads_it(dapo, two_runs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    dapo("export", "--format", "tensorboard", "--out", "out")
    first, second = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert first == f"dapo-kl-HalfCheetah-v4-s0-{two_runs[0][:6]}"
    assert second == f"sac-Hopper-v4-s2-{two_runs[1][:6]}"
    accumulator = EventAccumulator(str(tmp_path / "out" / first)).Reload()
    assert set(accumulator.Tags()["tensors"]) == {"run/text_summary", "hyperparameters/text_summary"}
    evaluations = accumulator.Scalars("eval_sampled/mean_reward")
    assert [(scalar.step, scalar.value) for scalar in evaluations] == [(1000, -1.0)]
    episodes = accumulator.Scalars("rollout/episode_return")
    assert [scalar.value for scalar in episodes] == [-math.inf, pytest.approx(0.1)]


def test_csv_comes_back_as_it_was(dapo, two_runs, tmp_path):
    dapo("export", "--out", "out")
    again = ("--db", "other.db")
    assert dapo("import", "out", *again).code == 0
    assert dapo("export", *again, "--out", "back").code == 0
    for name in NAMES - {"runs"}:
        rows, back = (
            [{**row, "run_id": ""} for row in table(tmp_path / out / f"{name}.csv")] for out in ("out", "back")
        )
        assert rows == back, name
    kept = ("algo", "env", "seed", "status", "reason", "steps", "step", "wall_time", "tags", "kind", "exactness")
    rows, back = ([[row[key] for key in kept] for row in table(tmp_path / out / "runs.csv")] for out in ("out", "back"))
    assert [row[6] for row in rows] == ["1000", "400"]
    assert [row[:6] + row[7:] for row in rows] == [row[:6] + row[7:] for row in back]
    outcome = dapo("import", "out", *again)
    assert outcome.err.count("on record already") == 2
    assert dapo("import", "out").err.count("on record already") == 2
    assert len(json.loads(dapo("runs", "--json").out)) == 2


def test_an_extension_stays_one(dapo, two_runs, record_run, tmp_path):
    record_run("dapo-kl", final=[3.0], parent=two_runs[0])
    dapo("export", "--out", "out")
    dapo("import", "out", "--db", "other.db")
    runs = json.loads(dapo("runs", "--db", "other.db", "--json").out)
    (child,) = [run for run in runs if run["parent"]]
    assert child["parent"] in {run["id"] for run in runs}
    assert child["parent"] not in two_runs


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("episodes", ",true\n", ",perhaps\n", "episodes.csv, line 2: truncated is 'perhaps'"),
        ("episodes", ",0.1,1,", ",a lot,1,", "episodes.csv, line 3: return is 'a lot'"),
        ("evaluations", ",sampled,", ",none,", "actions is 'none'"),
        ("hyperparameters", ",default,", ",guess,", "origin is 'guess'"),
        ("hyperparameters", "0.5,float", "x,float", "value is 'x', no float"),
        ("runs", ",train,", ",other,", "runs.csv, line 2: kind is 'other'"),
    ],
)
def test_an_export_that_was_edited_wrongly_is_refused(dapo, two_runs, refused, tmp_path, name, old, new, message):
    dapo("export", "--out", "out")
    path = tmp_path / "out" / f"{name}.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    assert message in refused("import", "out", "--db", "other.db")


def test_rows_of_an_unknown_run_are_refused(dapo, two_runs, refused, tmp_path):
    dapo("export", "--out", "out")
    path = tmp_path / "out" / "episodes.csv"
    path.write_text(path.read_text() + "ffff,0,1,1.0,1,1.0,true,false\n")
    assert "run 'ffff' is not the next one" in refused("import", "out", "--db", "other.db")


def test_tensorboard_comes_back(dapo, tmp_path):
    dapo(
        "export",
        "--db",
        str(EXAMPLE),
        "--where",
        "env ~ Cheetah and algo = sac",
        "--format",
        "tensorboard",
        "--out",
        "out",
    )
    folders = sorted(str(path) for path in (tmp_path / "out").iterdir())
    outcome = dapo("import", *folders)
    assert outcome.code == 0
    expected = json.loads(
        dapo("compare", "--db", str(EXAMPLE), "--where", "env ~ Cheetah and algo = sac", "--json").out
    )
    found = json.loads(dapo("compare", "--json").out)
    finals = [
        sorted(
            run["final"]
            for run in json.loads(dapo("runs", "--json", *db, "--where", "env ~ Cheetah and algo = sac").out)
        )
        for db in ((), ("--db", str(EXAMPLE)))
    ]
    assert len(expected) == len(found) == 1
    assert finals[0] == pytest.approx(finals[1], rel=1e-6)
    first = outcome.out.split()[0]
    facts = json.loads(dapo("show", first, "--json").out)
    assert "critic_loss" in facts["metrics"]
    assert {row["name"]: row["value"] for row in facts["hyperparameters"]}["hidden_sizes"] == [256, 256]
