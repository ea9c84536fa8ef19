"""`dapo bundle`: what is in the folder, that it verifies, and that its script makes the same again."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import subprocess
import sys

import pytest

from dapo_cli.report import bundle, page
from store.records import runs
from store.session import Database

FILES = {
    "MANIFEST",
    "report.html",
    "reproduce.sh",
    "runs.db",
    *(f"data/{name}.csv" for name in ("runs", "episodes", "evaluations", "metrics", "hyperparameters")),
    *(f"tables/{name}.{ending}" for name in ("results", "hyperparameters") for ending in ("csv", "md", "tex")),
    "figures/curves.pdf",
    "figures/curves.png",
}


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def paper(dapo, family, tmp_path):
    """The folder of a bundle of the runs with the tag paper."""
    outcome = dapo("bundle", "paper", "--by", "beta", "--tag", "paper")
    assert (outcome.code, outcome.out, outcome.err) == (0, "paper\n", "")
    return tmp_path / "paper"


def script(folder, command, *arguments):
    """Runs the bundle's script with `command` for dapo."""
    place = folder.parent / "dapo-of-this-test"
    place.write_text(command)
    place.chmod(0o755)
    return subprocess.run(
        [folder / "reproduce.sh", *arguments],
        env={**os.environ, "DAPO": str(place), "DAPO_DB": "nowhere.db"},
        capture_output=True,
        text=True,
        check=False,
    )


def asked(folder, *arguments):
    """What the script asks of dapo, as lists of words, and its outcome where dapo does nothing."""
    log = folder.parent / "asked"
    log.unlink(missing_ok=True)
    stub = f"#!/bin/sh\nfor word; do printf '%s\\0' \"$word\" >>'{log}'; done; printf '\\n\\0' >>'{log}'\n"
    outcome = script(folder, stub, *arguments)
    calls = [[]]
    for word in log.read_text().split("\0"):
        calls.append([]) if word == "\n" else calls[-1].append(word)
    return [call for call in calls if call not in ([], [""], ["--version"])], outcome


def test_the_folder_has_everything_and_its_manifest_verifies(paper):
    assert files(paper) == FILES
    assert paper.stat().st_mode & 0o055 == 0o055
    lines = (paper / "MANIFEST").read_text().splitlines()
    assert {name for _, name in (line.split("  ", 1) for line in lines)} == FILES - {"MANIFEST"}
    for line in lines:
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((paper / name).read_bytes()).hexdigest() == digest, name
    assert (
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "MANIFEST"], cwd=paper, check=False).returncode
        == 0
    )


def test_only_the_chosen_runs_are_in_it(dapo, paper, family):
    chosen = {id_ for name, id_ in family.items() if name.startswith("sac") or name == "kl-low"}
    with Database.read(str(paper / "runs.db")) as database:
        assert {run["id"] for run in runs.listing(database)} == chosen
    with (paper / "data" / "runs.csv").open(newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == chosen
    everything = b"".join((paper / name).read_bytes() for name in FILES)
    assert family["hopper"].encode() not in everything
    numbers = ("compare", "--by", "beta", "--tag", "paper", "--json")
    assert json.loads(dapo(*numbers, "--db", str(paper / "runs.db")).out) == json.loads(dapo(*numbers).out)


def test_the_commands_of_the_script_make_the_same_again(dapo, paper):
    assert subprocess.run(["bash", "-n", "reproduce.sh"], cwd=paper, check=False).returncode == 0
    assert os.access(paper / "reproduce.sh", os.X_OK)
    calls, outcome = asked(paper, "tables")
    assert outcome.returncode == 1  # as the stub makes nothing
    compared = [f"tables/{table}.{end}" for table in ("results", "hyperparameters") for end in ("tex", "md", "csv")]
    figures = ["figures/curves.pdf", "figures/curves.png"]
    assert outcome.stdout == "".join(f"differs  {name}\n" for name in (*compared, *figures, "report.html"))
    for name, call in zip(compared, calls[:6], strict=True):
        assert dapo_here(dapo, call, paper).out == (paper / name).read_text(), name
    for call in calls[6:]:
        assert dapo_here(dapo, call, paper).code == 0
    for name in (*figures, "report.html"):
        assert (paper / "again" / name).read_bytes() == (paper / name).read_bytes(), name


def dapo_here(dapo, call, folder):
    """The outcome of a command of the script, in the folder of the bundle."""
    with contextlib.chdir(folder):
        return dapo(*call)


@pytest.mark.slow
def test_the_script_makes_the_same_again(paper):
    dapo_itself = f'#!/bin/sh\nexec "{sys.executable}" -P -m dapo_cli "$@"\n'
    outcome = script(paper, dapo_itself, "tables")
    assert outcome.returncode == 0
    assert outcome.stdout.count("same ") == outcome.stdout.count("\n") == 9
    assert "another version" not in outcome.stderr
    assert script(paper, dapo_itself).returncode == 2


def test_a_run_is_trained_again_from_its_own_values(dapo, trained_run, tmp_path):
    assert dapo("bundle", "folder", "--with-files").code == 0
    assert f"runs.db.files/{trained_run}/" in (tmp_path / "folder" / "MANIFEST").read_text()
    calls, outcome = asked(tmp_path / "folder", "check")
    assert outcome.stdout == "every configuration resolves with this dapo\n"
    (call,) = calls
    assert call[-1] == "--dry-run"
    planned = json.loads(dapo(*call, "--json").out)
    shown = json.loads(dapo("show", trained_run, "--json").out)
    values = {row["name"]: row["value"] for row in shown["hyperparameters"]} | {"device": "cpu"}  # auto was the CPU
    assert {row["name"]: row["value"] for row in planned["values"]} == values
    assert [planned[name] for name in ("algo", "env", "seed")] == [shown[name] for name in ("algo", "env", "seed")]


def test_the_same_runs_give_the_same_bundle(dapo, paper, tmp_path):
    dapo("bundle", "again", "--by", "beta", "--tag", "paper")
    assert (tmp_path / "again" / "MANIFEST").read_text() == (paper / "MANIFEST").read_text()


def test_references_and_a_selection_come_along(dapo, family, tmp_path):
    dapo("freeze", "v1", "--where", "env ~ Cheetah and tag = paper")
    (tmp_path / "scale.toml").write_text('["HalfCheetah-v4"]\nrandom = 0.0\nreference = 200.0\n')
    scaled = ("--normalise", "file", "--references", "scale.toml", "--selection", "v1", "--by", "beta")
    assert dapo("bundle", "new", *scaled, "--base", "algo = sac").code == 0
    assert files(tmp_path / "new") == FILES | {
        "references.toml",
        *(f"tables/differences.{end}" for end in ("csv", "md", "tex")),
    }
    calls, _ = asked(tmp_path / "new", "tables")
    assert tuple(calls[0][calls[0].index("--references") :][:2]) == ("--references", "references.toml")
    table = next(call for call in calls if "markdown" in call and "--base" in call)
    assert dapo_here(dapo, table, tmp_path / "new").out == (tmp_path / "new" / "tables" / "differences.md").read_text()


def test_hostile_names_are_words_of_the_script(dapo, record_run, tmp_path):
    hostile = "x'; touch broken; echo '$(touch broken)`touch broken`\ntouch broken\n"
    record_run(hostile, hostile, settings={hostile: hostile}, tags=[hostile], commit=hostile)
    record_run("sac", hostile, seed=1, source=hostile)
    where = f'env = "{hostile}"'
    assert dapo("bundle", "folder", "--title", hostile, "--where", where).code == 0
    calls, _ = asked(tmp_path / "folder", "tables")
    assert all(call[call.index("--where") + 1] == where for call in calls)
    assert calls[-1][calls[-1].index("--title") + 1] == hostile
    calls, _ = asked(tmp_path / "folder", "check")
    (call,) = calls  # the imported run cannot be trained
    assert call[:5] == ["train", "--algo", hostile, "--env", hostile]
    assert call[call.index("--tag") + 1] == hostile
    assert [path for path in tmp_path.rglob("*") if path.name == "broken"] == []


def test_a_folder_with_something_in_it_stays(refused, dapo, family, tmp_path):
    (tmp_path / "mine").mkdir()
    assert dapo("bundle", "mine").code == 0
    (tmp_path / "file").write_text("mine")
    for name in ("mine", "file"):
        assert refused("bundle", name) == f"{name} exists already: name a new or an empty folder"
    assert (tmp_path / "file").read_text() == "mine"
    assert "cannot write no/where" in refused("bundle", "no/where")
    assert refused("bundle", "new", "--where", "algo = ppo").startswith("no run to bundle")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "file", "runs.db", "runs.db.files"} | {
        path.name for path in tmp_path.glob("runs.db-*")
    }


@pytest.mark.parametrize("part", [(page, "render"), (bundle, "_script"), (bundle, "_figures")])
def test_a_failure_leaves_nothing(refused, family, tmp_path, monkeypatch, part):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(*part, full)
    assert "cannot write new (No space left on device)" in refused("bundle", "new")
    assert {path.name for path in tmp_path.iterdir()} == before
