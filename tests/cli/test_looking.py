"""runs and show: on a terminal's terms, and as data."""

from __future__ import annotations

import hashlib
import json
import math
import re

import pytest

from dapo_cli.terminal import console
from store.records import runs as store_runs


def listed(dapo, *arguments: str) -> list[str]:
    outcome = dapo("runs", "--json", "-q", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    return [row["id"] for row in json.loads(outcome.out)]


def test_runs_newest_first_and_how_many_more(dapo, family):
    outcome = dapo("runs", "--limit", "2")
    header, rule, *rows = outcome.out.splitlines()
    assert header.split() == "id algo env seed status steps final age tags".split()
    assert set(rule) == {"─"}
    assert [row.split()[0] for row in rows] == [family["dead"][:6], family["failed"][:6]]
    assert rows[0].split()[1:-1] == ["dapo-kl", "Hopper-v4", "2", "interrupted", "400/1k", "3.00"]
    assert rows[1].split()[1:-1] == ["dapo-kl", "Hopper-v4", "1", "failed", "400/1k", "–"]
    assert outcome.err == "8 more: show them with --limit 10\n"
    assert outcome.code == 0


def test_runs_shows_notes_where_there_are_any(dapo, record_run, monkeypatch):
    run_id = record_run()
    assert "note" not in dapo("runs").out
    note = "the one of the talk, with the wrong learning rate"
    dapo("mark", run_id, "--note", note)
    assert dapo("runs").out.splitlines()[2].endswith(note)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    for width in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        shown = re.sub(r"\x1b\[\d*m", "", dapo("runs").out)
        assert max(map(len, shown.splitlines())) <= width
        assert all(word in shown for word in "the one of talk, with wrong lear…".split())
    dapo("mark", run_id, "--note", "")
    assert "note" not in dapo("runs").out


def test_runs_json_is_complete(dapo, family, record_run):
    for _ in range(15):
        record_run()
    rows = json.loads(dapo("runs", "--json").out)
    assert len(rows) == 25
    by_id = {row["id"]: row for row in rows}
    low = by_id[family["kl-low"]]
    assert low["final"] == 50.0
    assert low["tags"] == ["low", "paper"]
    assert low["status"] == "completed"
    assert by_id[family["failed"]]["final"] is None


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("algo = sac", {"sac-0", "sac-1", "sac-2"}),
        ("algo = 'dapo-kl' and beta < 0.5 and env ~ 'cheetah'", {"kl-low"}),
        ("status = interrupted", {"dead"}),
        ("status = running", set()),
        ("final >= 200 or tag = low", {"kl-0", "kl-1", "kl-2", "kl-low"}),
    ],
)
def test_runs_where(dapo, family, where, names):
    assert set(listed(dapo, "--where", where)) == {family[name] for name in names}


def test_runs_sort(dapo, family):
    best = listed(dapo, "--sort", "-final", "--limit", "2")
    assert best == [family["kl-2"], family["kl-1"]]
    assert listed(dapo, "--sort", "final")[-1] == family["failed"]
    assert listed(dapo, "--sort", "-final")[-1] == family["failed"]
    assert listed(dapo, "--sort", "beta")[0] == family["kl-low"]
    assert listed(dapo, "--sort", "created_at") == list(family.values())
    assert listed(dapo, "--sort", "status")[-1] == family["dead"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort", "bta"], "--sort: no run has a field 'bta': did you mean 'beta'"),
        (["--where", "bta = 1"], "--where: no run has a field 'bta' (character 1): did you mean 'beta'"),
        (
            ["--where", "beta <"],
            "--where: expected a value: a number, a word, 'text', true, false or null at the end",
        ),
    ],
)
def test_runs_bad_input(refused, family, arguments, message):
    assert refused("runs", *arguments).startswith(message)


def test_runs_nothing_matches(dapo, family):
    assert dapo("runs", "--where", "seed = 99") == (0, "", "no run matches\n")
    assert dapo("runs", "--where", "seed = 99", "--json").out == "[]\n"


def test_runs_no_runs_yet(dapo, results):
    assert dapo("runs") == (0, "", "no runs in runs.db yet: train one with dapo train\n")
    assert dapo("runs", "--where", "beta < 1").code == 2


def test_runs_a_return_that_is_not_finite(dapo, record_run):
    record_run(final=[1.0, math.nan])
    assert dapo("runs").out.splitlines()[-1].split()[6] == "nan"
    assert json.loads(dapo("runs", "--json").out)[0]["final"] is None


def test_runs_hostile_text_is_shown_not_obeyed(dapo, record_run):
    record_run(env="\x1b[2J[red]x[/red]\u202e", tags=["a\nb"], note="\x07")
    outcome = dapo("runs")
    assert r"\x1b[2J[red]x[/red]\u202e" in outcome.out
    assert r"a\nb" in outcome.out
    assert "\x1b" not in outcome.out
    assert "\x1b" not in dapo("show", json.loads(dapo("runs", "--json").out)[0]["id"]).out


def test_runs_looking_changes_no_byte(dapo, family, results, tmp_path):
    results.close()

    def contents() -> dict[str, str]:
        files = (path for path in sorted(tmp_path.rglob("*")) if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = contents()
    for command in ("runs", "compare", "table", f"show {family['dead']}", "db info"):
        assert dapo(*command.split()).code == 0
    assert contents() == before


def test_show_everything(dapo, results, record_run):
    run_id = record_run(
        "dapo-kl",
        final=[1.0, 3.0],
        episodes=range(8),
        settings={"beta": 0.1, "hidden_sizes": [256, 256], "layer_norm": False},
        tags=["paper"],
        note="a note",
        command="dapo train --algo dapo-kl",
        commit="abc123",
        dirty=True,
        versions={"torch": "2.13"},
    )
    store_runs.add_checkpoint(results, run_id, step=1000, path="checkpoint-1000", size=1_234_567, sha256="00")
    outcome = dapo("show", run_id[:8])
    assert (outcome.code, outcome.err) == (0, "")
    shown = [" ".join(line.split()) for line in outcome.out.splitlines()]
    for line in (
        f"run {run_id}",
        "status completed",
        "progress 1000 of 1000 steps in 10 s, 100 steps/s",
        "note a note",
        "evaluation 2.00 ± 1.41 over 2 episodes at step 1000",
        "training 3.50 ± 2.45 over the last 8 of 8 episodes",
        "▁▂▃▄▅▆▇█",
        "beta 0.1 default",
        "hidden_sizes [256, 256] default",
        "layer_norm no default",
        "commit abc123 with uncommitted changes",
        "versions torch 2.13",
    ):
        assert line in shown
    assert any(line.startswith("1000 1.2 MB") and line.endswith("checkpoint-1000") for line in shown)
    assert "command dapo train --algo dapo-kl" in shown
    assert [line.split()[-1] for line in shown[-2:]] == ["created", "completed"]


def test_show_json(dapo, family):
    facts = json.loads(dapo("show", family["kl-low"], "--json").out)
    assert facts["id"] == family["kl-low"]
    assert facts["final"] == 50.0
    assert {row["name"]: row["value"] for row in facts["hyperparameters"]} == {"beta": 0.1, "m": 10}
    assert facts["evaluation"] == {"step": 1000, "returns": [50.0]}
    assert [event["kind"] for event in facts["events"]] == ["created", "completed"]


def test_show_an_interrupted_run_can_be_continued(dapo, results, family):
    assert dapo("show", family["dead"]).err == ""
    store_runs.add_checkpoint(results, family["dead"], step=400, path="checkpoint-400", size=1, sha256="00")
    assert dapo("show", family["dead"]).err == f"continue it with: dapo resume {family['dead']}\n"


def test_show_a_run_of_which_nothing_is_known(dapo, record_run):
    outcome = dapo("show", record_run(final=None, status="failed", reason="no space left"))
    assert outcome.code == 0
    assert "reason    no space left" in outcome.out


def test_show_which_run(refused, family):
    assert refused("show", "zzz").startswith("no run 'zzz' in runs.db")
    assert refused("show", "").startswith("no run ''")


def test_tables_fit_a_narrow_terminal_and_keep_whole_ids(family, results, monkeypatch, capsys, tmp_path, dapo):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    for width, dropped in [(60, {"tags", "age"}), (120, set())]:
        monkeypatch.setenv("COLUMNS", str(width))
        text = dapo("runs").out.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
        assert {"tags", "age"} - set(text.splitlines()[0].split()) == dropped
        for run_id in family.values():
            assert run_id[:6] in text


def test_a_table_on_a_terminal_has_colour(monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    console.print_table(("status",), [[("failed", "red")]])
    assert "\x1b[31mfailed" in capsys.readouterr().out
