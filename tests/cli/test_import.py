"""`dapo import` as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dapo_cli.app import main

MONITOR = '#{"t_start": 100.0, "env_id": "Hopper-v5"}\nr,l,t\n1.5,200,2.0\n2.5,300,4.0\n'
BARE = "step,return,kind\n100,1,episode\n200,5,evaluation\n200,inf,evaluation\n"


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return written


@pytest.fixture
def runs(dapo):
    return lambda: json.loads(dapo("runs", "--json").out)


def test_a_log_becomes_a_completed_run_that_says_where_it_is_from(dapo, write, runs, tmp_path):
    log = write("sac/seed_3/monitor.csv", MONITOR)
    outcome = dapo("import", log, "--algo", "sac", "--tag", "theirs", "--note", "from a friend", "--set", "tau=0.005")
    assert outcome.code == 0
    (run,) = runs()
    assert outcome.out == f"{run['id']}\n"
    assert "seed 3 is from the path" in outcome.err
    assert (run["algo"], run["env"], run["seed"], run["status"]) == ("sac", "Hopper-v5", 3, "completed")
    assert (run["steps"], run["step"], run["wall_time"], run["note"]) == (500, 500, 4.0, "from a friend")
    assert (run["source"], run["tags"]) == ("stable-baselines3 monitor.csv", ["theirs"])
    facts = json.loads(dapo("show", run["id"], "--json").out)
    assert [episode["return"] for episode in facts["episodes"]] == [1.5, 2.5]
    assert [(row["name"], row["value"], row["origin"]) for row in facts["hyperparameters"]] == [
        ("tau", 0.005, "command line")
    ]
    (event,) = [event for event in facts["events"] if event["kind"] == "imported"]
    assert event["data"]["path"] == str(tmp_path / log)
    assert len(event["data"]["sha256"]) == 64
    assert "imported" in dapo("show", run["id"]).out


def test_the_same_content_is_imported_once(dapo, write, runs, tmp_path):
    log = write("monitor.csv", MONITOR)
    first = dapo("import", log, "--algo", "sac", "--seed", "0")
    shutil.copy(tmp_path / log, tmp_path / "copy.monitor.csv")
    second = dapo("import", "copy.monitor.csv", "--algo", "ppo", "--seed", "1")
    assert (second.code, second.out) == (0, first.out)
    assert f"is on record already as {first.out[:6]}" in second.err
    assert len(runs()) == 1
    third = dapo("import", log, "--algo", "sac", "--seed", "0", "--again")
    assert third.out != first.out
    assert len(runs()) == 2


def test_every_path_is_a_run_and_its_seed_may_be_in_its_name(dapo, write, refused, runs):
    logs = [
        write(f"{name}/monitor.csv", MONITOR.replace("1.5", str(n))) for n, name in enumerate(["s0", "x_s12", "seed-2"])
    ]
    assert dapo("import", *logs, "--algo", "sac").code == 0
    assert sorted(run["seed"] for run in runs()) == [0, 2, 12]
    assert "3 runs of one seed" in refused("import", *logs, "--algo", "sac", "--seed", "1")
    assert "one path is named twice" in refused("import", logs[0], logs[0], "--algo", "sac")
    both = write("s1/seed2/monitor.csv", MONITOR)
    assert "names the seeds [1, 2]" in refused("import", both, "--algo", "sac")


def test_what_no_file_tells_must_be_given(refused, write, tmp_path):
    log = write("log.csv", BARE)
    assert "does not tell the algorithm: add --algo ALGO" in refused("import", log)
    assert refused("import", log, "--algo", "x").endswith("does not tell the environment: add --env ENV")
    assert "does not tell the seed: add --seed N" in refused("import", log, "--algo", "x", "--env", "E")
    assert "goes on to step 200" in refused("import", log, "--algo", "x", "--env", "E", "--seed", "0", "--steps", "100")
    assert "--set gamma" in refused("import", log, "--algo", "x", "--env", "E", "--seed", "0", "--set", "gamma={a=1}")
    assert "is negative" in refused("import", log, "--algo", "x", "--seed", "-1")
    assert "cannot read nothing" in refused("import", "nothing", "--algo", "x")
    assert not (tmp_path / "runs.db").exists()


def test_what_is_given_wins_and_is_said(dapo, write, runs):
    outcome = dapo(
        "import", write("monitor.csv", MONITOR), "--algo", "a", "--env", "Mine-v0", "--seed", "0", "--steps", "1e3"
    )
    assert "the files say env Hopper-v5; recorded as Mine-v0" in outcome.err
    assert [(run["env"], run["steps"], run["step"]) for run in runs()] == [("Mine-v0", 1000, 500)]


def test_one_bad_file_leaves_nothing_of_the_others(dapo, write, refused, runs):
    dapo("import", write("first.csv", BARE), "--algo", "a", "--env", "E", "--seed", "0")
    good, bad = write("s1.csv", BARE + "300,1,episode\n"), write("s2.csv", BARE + "x,1,episode\n")
    assert "s2.csv, line 5: step is 'x'" in refused("import", good, bad, "--algo", "a", "--env", "E")
    assert len(runs()) == 1


def test_a_return_that_is_not_finite_stays_so(dapo, write, results):
    from sqlalchemy import select

    from store.schema.models import Evaluation

    dapo("import", write("log.csv", BARE), "--algo", "a", "--env", "E", "--seed", "0", "--eval-actions", "sampled")
    with results.connect() as session:
        rows = session.execute(
            select(Evaluation.number, Evaluation.actions, Evaluation.return_, Evaluation.return_kind)
        )
        assert [tuple(row) for row in rows] == [(0, "sampled", 5.0, None), (1, "sampled", None, "inf")]


def test_an_import_that_fails_halfway_leaves_nothing(dapo, write, results, runs, monkeypatch):
    from store.errors import StoreError
    from store.records import imports

    def fail(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(imports, "_number", fail)
    assert dapo("import", write("log.csv", BARE), "--algo", "a", "--env", "E", "--seed", "0").code == 2
    assert runs() == []


def test_text_of_a_file_is_shown_and_not_obeyed(dapo, write):
    log = write("monitor.csv", MONITOR.replace("Hopper-v5", "\\u001b[31mred"))
    outcome = dapo("import", log, "--algo", "sac", "--seed", "0")
    assert "\x1b" not in outcome.err + dapo("runs").out
    assert "\\x1b[31mred" in outcome.err


def test_an_imported_run_has_nothing_to_resume(dapo, write, refused, capsys):
    run = dapo("import", write("monitor.csv", MONITOR), "--algo", "sac", "--seed", "0").out.strip()
    for command in ("resume", "evaluate", "export-policy"):
        assert "\n" not in refused(command, run)


def test_without_tensorboard_one_line_says_what_to_install(write, refused, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    message = refused("import", write("events.out.tfevents.1", ""), "--algo", "a")
    assert "pip install 'dapo-cli[tensorboard]'" in message


def test_where_no_run_has_an_evaluation_the_remedy_is_named_and_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAPO_DB", raising=False)
    for seed in range(2):
        Path(f"s{seed}").mkdir()
        Path(f"s{seed}/monitor.csv").write_text(f"{MONITOR}{seed},5,6\n")
    assert main(["import", "s0", "s1", "--algo", "sac"]) == 0
    remedies = {
        ("compare",): "--measure final-train",
        ("table",): "--measure final-train",
        ("report", "--out", "r.html"): "--measure final-train",
        ("plot", "--out", "p.svg"): "--y train-return",
        ("plot", "intervals", "--out", "p.svg"): "--measure final-train",
        ("power", "--base", "algo = 'sac'"): "--measure final-train",
    }
    for command, remedy in remedies.items():
        capsys.readouterr()
        main(command)
        assert f"take their training episodes with {remedy}, or a metric with" in capsys.readouterr().err, command
    for command in (("compare", "--measure", "final-train"), ("plot", "--y", "train-return", "--out", "p.svg")):
        assert main(command) == 0


@pytest.mark.parametrize("options", [["--tag", ""], ["--tag", " "], ["--tag", "a\x1b[31m"], ["--note", "\x07"]])
def test_words_that_are_none_are_refused(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    Path("monitor.csv").write_text(MONITOR)
    assert main(["import", "monitor.csv", "--algo", "sac", "--seed", "0", *options]) == 2
    assert "in the command line" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.csv"]
