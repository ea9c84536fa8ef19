"""What is given away (bundle, report, export, policy) says nothing of the machine and the folders it came from."""

from __future__ import annotations

import json
import re
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from store.records.recorder import Recorder
from store.session import Database

HOST, USER, AUTHOR, MAIL = "zebra-box", "adalove", "Ada Lovelace-Byron", "ada.l@people.example"
REMOTE = "git@forge.example:adalove/secret.git"
WHO = (HOST, USER, AUTHOR, MAIL, REMOTE, "forge.example")


@pytest.fixture
def place(monkeypatch, tmp_path) -> Path:
    """The working folder of a person of that name, on that host."""
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.lab.example")
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    home = tmp_path / "people" / USER
    work = home / "my work"
    work.mkdir(parents=True)
    (home / "gitconfig").write_text(f"[user]\nname = {AUTHOR}\nemail = {MAIL}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PWD", str(work))
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def published(dapo, place, monkeypatch) -> Path:
    """A run that was trained there, one that failed, an import and a sweep, all named by absolute paths."""
    monkeypatch.chdir(place)
    db = str(place / "runs.db")
    words = ["train", "--algo", "sac", "--env", "Pendulum-v1", "--steps", "60", "--eval-every", "30", "--db", db]
    small = ["--set", "learning_starts=50", "--set", "batch_size=4", "--set", "hidden_sizes=[4]", "--compile", "off"]
    note = f"of {AUTHOR} <{MAIL}> ({USER} on {HOST}), {REMOTE}, in {place}"
    monkeypatch.setattr("sys.argv", ["dapo", *words, *small, "--note", note])
    assert dapo(*words, *small, "--eval-episodes", "1", "-q", "--note", note, "--tag", "mine").code == 0
    (place / "evaluations.csv").write_text("step,return,length\n30,1.0,9\n60,2.0,9\n")
    import_ = ["import", str(place / "evaluations.csv"), "--kind", "evaluation", "--algo", "other", "--seed", "1"]
    where = ["--env", "Pendulum-v1", "--steps", "60", "--set", f"logs={place}/logs", "--db", db, "--note", note]
    assert dapo(*import_, *where, "--tag", "mine").code == 0
    (place / "sweep.toml").write_text('algo = "sac"\nenv = "Pendulum-v1"\nseeds = 1\nsteps = 60\ntags = ["mine"]\n')
    assert dapo("sweep", "run", str(place / "sweep.toml"), "--enqueue", "--db", db).code == 0
    with Database.write(db) as database:
        (queued,) = json.loads(dapo("runs", "--where", "status = queued", "--json", "--db", db).out)
        recorder = Recorder(database, queued["id"])
        trace = f'File "{place}/my env.py", line 3\nFile "{place.parent}/x.py", line 4, on {HOST}'
        recorder.event("traceback", "OSError", data={"traceback": trace})
        recorder.close("failed", f"OSError: [Errno 28] No space left on device: '{place}/my env.py'")
    return place


def contents(file: Path):
    """All that a file holds: its bytes, and what is packed in them."""
    raw = file.read_bytes()
    yield raw
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if raw.startswith(b"%PDF"):
        for packed in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL):
            try:
                yield zlib.decompress(packed)
            except zlib.error:
                yield packed
    if raw.startswith(b"\x89PNG"):
        at = 8
        while at < len(raw):
            (length,) = struct.unpack(">I", raw[at : at + 4])
            kind, body = raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]
            if kind in (b"zTXt", b"iTXt"):
                text = body.partition(b"\0")[2]
                yield zlib.decompressobj().decompress(text[1:]) if kind == b"zTXt" else text
            at += 12 + length


def told(folder: Path, *words: object) -> dict[str, set[str]]:
    """Which of these words, of more than one file: word -> files."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    assert files
    found: dict[str, set[str]] = {}
    for file in files:
        for part in contents(file):
            for word in map(str, words):
                spelled = (word, word.replace("/", "\\/"))
                variants = {text.encode(code) for text in spelled for code in ("utf-8", "utf-16-le", "utf-16-be")}
                if any(variant.lower() in part.lower() for variant in variants):
                    found.setdefault(word, set()).add(file.name)
    return found


def folders(place: Path) -> tuple[Path, ...]:
    return place, place.parent, place.parents[2]


def test_an_anonymous_bundle_names_neither_people_nor_machines_nor_folders(dapo, published):
    outcome = dapo("bundle", "out", "--anonymous", "--with-files", "--db", str(published / "runs.db"))
    assert outcome.code == 0
    assert "left out: hosts" in outcome.err
    assert told(published / "out", *WHO, *folders(published)) == {}
    assert {path.suffix for path in (published / "out").rglob("*.*")} >= {".html", ".pdf", ".png", ".csv", ".db"}
    assert told(published / "runs.db", *WHO, str(published)).keys() == {*WHO, str(published)}  # it was there
    shown = json.loads(dapo("runs", "--json", "--db", "out/runs.db").out)
    assert {run["host"] for run in shown} == {None}


def test_no_bundle_names_a_folder(dapo, published):
    assert dapo("bundle", "out", "--with-files", "--db", str(published / "runs.db")).code == 0
    assert told(published / "out", *folders(published)) == {}


@pytest.mark.parametrize("anonymous", [True, False])
def test_neither_does_a_report_nor_an_export(dapo, published, anonymous):
    option = ["--anonymous"] if anonymous else []
    words = [*folders(published), *(WHO if anonymous else ())]
    outcome = dapo("report", *option, "--db", str(published / "runs.db"))
    assert ("left out: " in outcome.err) == anonymous
    assert told(published / "report.html", *words) == {}
    assert "--db runs.db" in (published / "report.html").read_text()
    for format_ in ("csv", "tensorboard"):
        assert (
            dapo("export", "--out", format_, "--format", format_, *option, "--db", str(published / "runs.db")).code == 0
        )
        assert told(published / format_, *words) == {}


def test_an_exported_policy_has_nothing_to_leave_out(dapo, published):
    run = json.loads(dapo("runs", "--json", "--where", "algo = sac and status = completed").out)[0]["id"]
    assert dapo("export-policy", run, "--out", "policy").code == 0
    assert told(published / "policy", *WHO, *folders(published)) == {}


def test_runs_that_are_chosen_by_what_is_left_out_cannot_be_bundled(refused, published):
    line = refused("bundle", "out", "--anonymous", "--where", f"host ~ {HOST}", "--db", str(published / "runs.db"))
    assert "--where chooses by a text that the bundle leaves out" in line
    assert not (published / "out").exists()
