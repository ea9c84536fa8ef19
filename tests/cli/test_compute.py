"""`dapo compute`: what training took, nothing forgotten and nothing counted twice."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from store.records import runs

HOUR = 3600.0


@pytest.fixture
def timed(results, record_run) -> Callable[..., str]:
    """Records a run that took so many hours; other keywords are those of `record_run`."""

    def record(hours: float, **keywords: object) -> str:
        status, reason = keywords.get("status", "completed"), keywords.get("reason")
        run_id = record_run(**{"processor": "EPYC 7", "threads": 1, "device": "cpu", **keywords})
        runs.set_status(results, run_id, status, reason, wall_time=hours * HOUR)
        return run_id

    return record


def test_every_run_is_counted_and_the_sentence_says_so(dapo, timed):
    timed(1.0)
    timed(2.0, threads=4, seed=1)
    timed(0.5, kind="tuning")
    timed(0.25, kind="tuning", status="failed", reason="no space")
    timed(0.125, status="diverged", reason="nan")
    outcome = dapo("compute", "--json")
    facts = json.loads(outcome.out)
    assert [(row["kind"], row["status"], row["runs"], row["core_hours"]) for row in facts["rows"]] == [
        ("train", "completed", 2, 9.0),
        ("train", "diverged", 1, 0.125),
        ("tuning", "completed", 1, 0.5),
        ("tuning", "failed", 1, 0.25),
    ]
    assert facts["total"] == {"runs": 5, "steps": 3800, "core_hours": 9.875, "gpu_hours": 0.0}
    assert facts["processors"] == {"EPYC 7": 5}
    sentence = (
        "Training took 9.88 core hours on EPYC 7 in 5 runs, of which 0.75 core hours for tuning (2 runs) "
        "and 0.12 core hours for other runs that did not complete (1 diverged)."
    )
    assert facts["sentence"] == sentence
    shown = dapo("compute")
    assert shown.out.splitlines()[-1] == sentence
    assert shown.out.splitlines()[-3].split() == ["total", "5", "3.8k", "9.88", "–"]
    assert shown.err == ""


def test_gpu_hours_and_several_processors(dapo, timed):
    timed(2.0, device="cuda", threads=2)
    timed(1.0, processor="Xeon 9", algo="dapo-kl")
    timed(1.0, processor="Xeon 9", algo="dapo-kl", kind="tuning", device="cuda:1")
    facts = json.loads(dapo("compute", "--json").out)
    assert (facts["total"]["core_hours"], facts["total"]["gpu_hours"]) == (6.0, 3.0)
    assert facts["sentence"] == (
        "Training took 6.00 core hours and 3.00 GPU hours on Xeon 9 (2 runs) and EPYC 7 (1 run) in 3 runs, of which "
        "1.00 core hours and 1.00 GPU hours for tuning (1 run) and none for other runs that did not complete."
    )


def test_what_a_run_inherited_is_not_counted_twice(dapo, results, timed):
    parent = timed(1.0)
    row = {"algo": "sac", "env": "HalfCheetah-v4", "seed": 0, "steps": 3000, "parent": parent, "wall_time": HOUR}
    checkpoint = {"step": 1000, "path": "c", "size": 1, "sha256": "0" * 64}
    child = runs.extend(results, run={**row, "threads": 1}, checkpoint=checkpoint, message="goes on")
    runs.set_status(results, child, "completed", step=3000, wall_time=3 * HOUR)
    total = json.loads(dapo("compute", "--json").out)["total"]
    assert (total["core_hours"], total["steps"]) == (3.0, 3000)
    own = json.loads(dapo("compute", "--json", "--where", "steps = 3000").out)["total"]
    assert (own["core_hours"], own["steps"]) == (2.0, 2000)


def test_what_is_not_on_record_is_said(dapo, results, record_run):
    untimed = record_run()
    runs.set_status(results, untimed, "completed", wall_time=0.0)
    record_run(seed=1, status="running")
    outcome = dapo("compute")
    assert outcome.err.splitlines() == [
        "1 run without a wall time on record: what that took is missing",
        "1 run without a number of threads on record: counted as one",
    ]
    assert "none for tuning" in outcome.out
    assert "did not complete (1 interrupted)" in outcome.out


def test_a_processor_s_name_is_shown_and_not_obeyed(dapo, timed):
    timed(1.0, processor="\x1b[31mred")
    assert "on \\x1b[31mred in 1 run" in dapo("compute").out


def test_no_runs_is_no_error(dapo, refused, record_run):
    record_run()
    outcome = dapo("compute", "--where", "algo = nothing")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no run matches\n")
    assert json.loads(dapo("compute", "--where", "algo = nothing", "--json").out)["rows"] == []
    assert "--sweep" in refused("compute", "--sweep", "nothing")
