"""What is offered after a TAB comes from anywhere: only words that mean nothing to a shell."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
from sqlalchemy import text

import algorithms
from dapo_cli.options import completion
from store.records import runs

HOSTILE = (
    r"\$(touch planted)",
    "$(touch planted)",
    "`touch planted`",
    "a;touch planted",
    "a\ntouch planted",
    'a"b',
    "a'b",
    "a b",
    "a\tb",
    "a\\b",
    "a*",
    "~root",
    "!!",
    "a=b",
    "{a,b}",
    "<(touch planted)",
    "--yes",
    "\x1b[2J",
    "",
)
HONEST = ("paper", "ns:Env-v0", "β0.5", "module/name", "C++", "a_b")


@pytest.fixture
def context(tmp_path: Path) -> Any:
    return SimpleNamespace(params={"db": str(tmp_path / "runs.db")})


def test_tags(context, results, record_run):
    record_run(tags=[*HONEST, *(word for word in HOSTILE if word)])
    assert completion.tags(context, "") == sorted(HONEST)
    assert completion.tags(context, "pa") == ["paper"]


@pytest.mark.parametrize("word", HOSTILE)
def test_runs(context, results, record_run, word):
    """Neither an id that would be evaluated, nor such words in what is said of a run."""
    honest = record_run(algo=word, env=word)
    for run_id in (word, f"{honest}{word}") if word.strip("-") != "yes" and word else ():
        runs.create(results, run={"id": run_id, "algo": "sac", "env": "Pendulum-v1", "seed": 0, "steps": 1})
    ((offered, told),) = completion.runs(context, "")
    assert offered == honest
    assert re.fullmatch(r"[\w.:/+-]+( [\w.:/+-]+)*", told)
    assert "seed 0 completed" in told


def test_algorithms_and_environments(monkeypatch):
    monkeypatch.setattr(algorithms, "names", lambda: [*HONEST, *HOSTILE])
    assert completion.algorithms("") == list(HONEST)
    known = {**gymnasium.registry, **dict.fromkeys(f"Xyz{word}" for word in (*HONEST, *HOSTILE) if word != "--yes")}
    monkeypatch.setattr(gymnasium, "registry", known)
    assert completion.environments("Xyz") == sorted([*(f"Xyz{word}" for word in HONEST), "Xyz"])
    assert "paper" in completion.presets("")


def test_values_that_are_no_texts(context, results, record_run):
    run_id = record_run(tags=["paper"])
    with results.transaction() as session:
        session.execute(text("INSERT INTO tag (run_id, tag) VALUES (:run, x'00ff')"), {"run": run_id})
        session.execute(text("UPDATE run SET algo = x'00ff', seed = 'x'"))
    assert completion.tags(context, "") == ["paper"]
    assert [offered for offered, _ in completion.runs(context, "")] in ([run_id], [])


def test_silence_where_there_is_nothing(tmp_path):
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + bytes(200))
    for name in ("missing.db", "broken.db", "/dev/null", str(tmp_path), "postgresql://"):
        context: Any = SimpleNamespace(params={"db": name})
        assert completion.runs(context, "") == []
        assert completion.tags(context, "") == []
    assert not Path("missing.db").exists()
