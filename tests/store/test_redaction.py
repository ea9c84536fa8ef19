"""What a text loses before it leaves the machine."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from store.records import runs
from store.session import Database
from store.transfer import subset
from store.transfer.redaction import Redaction, hosts

NAMES = {"ada": "user", "box9": "host", "Ada Lovelace": "author", "jo": "user", "root": "user", "vm": "host"}


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/people/ada l")
    monkeypatch.setenv("PWD", "/srv/people/ada l/my work")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "dapo train --db /data/ada/runs.db --config '/data/my files/a.toml'",
            "dapo train --db runs.db --config 'a.toml'",
        ),
        ('File "/usr/lib/python3.12/x.py", line 3', 'File "x.py", line 3'),
        ('{"cwd": "/srv/people/ada l", "path": "/x/y/z"}', '{"cwd": ".", "path": "z"}'),
        ("cannot write /srv/people/ada l/my work/runs.db (full)", "cannot write runs.db (full)"),
        ("home is /home/ada, or ~ada/x, or ~/y", "home is ., or x, or y"),
        ("sqlite:////srv/x.db, file:///srv/y", "x.db, y"),
        (r"C:\Users\ada\x.txt", "x.txt"),
        (r"on \\srv\share\q", "on q"),
        ("--set=/a/b --x /c", "--set=b --x c"),
    ],
)
def test_of_an_absolute_path_its_last_name_is_left(text, left):
    assert Redaction().text(text) == left
    assert Redaction().text(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "../x/y ./a/b runs/a.db n/a steps/s 1/2 f(x)/2 3 / 4",
        "</script><b>",
        r"\frac{a}{b} \textbf{\beta}/x \alpha",
        '{"text": "a\\n\\n b"}',
        "https://example.org/a/b",
        "2026/11/20",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    assert Redaction().text(text) == text


def test_names_addresses_and_remotes_go_on_request():
    told = Redaction(NAMES).text
    assert told("ada on BOX9: by Ada Lovelace <ada@box9.example.org>") == "user on host: by author <…>"
    assert told("git@example.org:ada/x.git or https://example.org/ada/x.git") == "… or …"
    assert told("adapt, root, jogging on vm") == "adapt, root, jogging on host"
    assert Redaction().text("ada@example.org on box9") == "ada@example.org on box9"


def test_a_copy_has_nothing_of_it_in_its_bytes(results: Database, record_run, tmp_path: Path):
    settings = {"log": "/data/ada/logs", "gamma": 0.9}
    run_id = record_run(host="box9", pid=77, command="dapo train --db /data/ada/runs.db", settings=settings)
    with results.transaction() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO event (run_id, created_at, kind, message, data) VALUES (?, '', 'traceback', 'x', ?)",
            (run_id, '{"traceback": "File \\"/data/ada/x.py\\""}'),
        )
    assert hosts(results) == {"box9"}
    subset.copy(results, [run_id], tmp_path / "plain.db")
    subset.copy(results, [run_id], tmp_path / "anonymous.db", redaction=Redaction(NAMES))
    assert b"/data" not in (tmp_path / "plain.db").read_bytes()
    assert b"box9" not in (tmp_path / "anonymous.db").read_bytes()
    with Database.read(str(tmp_path / "plain.db")) as copy:
        kept = runs.get(copy, run_id)
        assert (kept["host"], kept["command"]) == ("box9", "dapo train --db runs.db")
        assert {row["name"]: row["value"] for row in runs.hyperparameters(copy, run_id)} == settings | {"log": "logs"}
    with sqlite3.connect(tmp_path / "anonymous.db") as connection:
        assert connection.execute("SELECT host, pid FROM run").fetchall() == [(None, None)]
        assert connection.execute("SELECT count(*) FROM event WHERE data IS NOT NULL").fetchone() == (0,)
