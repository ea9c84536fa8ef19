"""`dapo browse`: what it refuses, what Datasette is told, and a page of it."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from dapo_cli.interchange import browsing, server
from store.schema.models import Base

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "runs.db.example"


def test_without_datasette_one_line_says_what_to_install(refused, family, monkeypatch):
    monkeypatch.setattr(server, "find_spec", lambda _: None)
    assert refused("browse", "--no-open") == "browsing needs a package: pip install 'dapo-cli[browse]'"


def test_what_cannot_be_browsed_is_refused(refused, dapo, tmp_path):
    assert "no results database" in refused("browse", "--no-open")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port}" in refused("browse", "--no-open", "--port", port, "--db", str(EXAMPLE))


def test_what_datasette_is_told_is_true():
    tables = browsing.metadata("runs", "runs.db")["databases"]["runs"]["tables"]
    document = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
    for name, table in Base.metadata.tables.items():
        assert tables[name]["description"]
        assert set(tables[name]["columns"]) <= set(table.c.keys()), name
        assert {tables[name].get("sort"), tables[name].get("sort_desc")} - {None} <= set(table.c.keys())
        section = document.partition(f"\n### {name}\n")[2].partition("\n### ")[0].replace("`", "")
        for column, meaning in tables[name]["columns"].items():
            if not column.endswith("_kind"):
                assert re.search(rf"^\| [^|]*\b{column}\b[^|]* \| {re.escape(meaning)}", section, re.MULTILINE), column


@pytest.mark.parametrize("name", browsing.QUERIES)
def test_the_ready_queries_answer(name):
    with sqlite3.connect(f"{EXAMPLE.as_uri()}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        (run,) = connection.execute("SELECT id FROM run WHERE algo = 'dapo-kl' LIMIT 1").fetchone()
        rows = connection.execute(browsing.QUERIES[name]["sql"], {"name": "beta", "run": run[:6]}).fetchall()
    assert rows
    if name == "learning_curve":
        assert {row["run_id"] for row in rows} == {run}


def test_the_final_returns_are_those_of_compare(dapo):
    with sqlite3.connect(f"{EXAMPLE.as_uri()}?mode=ro", uri=True) as connection:
        rows = connection.execute(browsing.QUERIES["final_returns"]["sql"]).fetchall()
    runs = json.loads(dapo("runs", "--where", "kind = 'train'", "--db", str(EXAMPLE), "--json").out)
    for env, algo, count, mean, *_ in rows:
        finals = [run["final"] for run in runs if (run["env"], run["algo"]) == (env, algo)]
        assert (count, mean) == (len(finals), pytest.approx(sum(finals) / count, abs=0.006))


@pytest.mark.slow
def test_a_page_is_served_until_ctrl_c(dapo, results, record_run):
    first = record_run("dapo-kl", final=[5.0])
    results.close()
    path = Path(results.location)
    before = hashlib.sha256(path.read_bytes()).digest()
    command = [sys.executable, "-P", "-m", "dapo_cli", "browse", "--no-open", "--port", "0", "--db", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/runs", url)
        assert "Final returns by algorithm and environment" in _get(url)
        assert first in _get(f"{url}/run")
        (row,) = json.loads(_get(f"{url}/final_returns.json?_shape=array"))
        assert (row["algo"], row["mean"]) == ("dapo-kl", 5.0)
        assert not list(path.parent.glob("runs.db-*"))
        assert hashlib.sha256(path.read_bytes()).digest() == before
        with pytest.raises(OSError):  # noqa: PT011 (systems differ in how they refuse)
            socket.create_connection(("127.0.0.2", int(url.split(":")[2].split("/")[0])), timeout=5)
        second = record_run("sac", final=[7.0])  # a writer comes while the page is open
        end = time.monotonic() + 60
        while second not in _get(f"{url}/run", patient=True):
            assert time.monotonic() < end
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert err == f"browsing {path}, for reading only; Ctrl-C ends it\n"
    finally:
        process.kill()
        process.communicate()


def _get(url: str, *, patient: bool = False) -> str:
    try:
        with urllib.request.urlopen(url, timeout=20) as page:
            return page.read().decode()
    except OSError:
        if patient:  # Datasette begins anew when a writer comes
            return ""
        raise
