"""Whatever is typed: an answer, or one line and exit code 2, and nothing is written or run."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from inputs import NASTY, assignments, files, filters, hostile, text

from dapo_cli.app import main
from store import runs

DRY = ["train", "--algo", "dapo-kl", "--env", "Pendulum-v1", "--dry-run"]


@hostile
@given(typed=filters)
@example(typed="note = 'x' or " * 500 + "m = 1")
@example(typed="not " * 3000 + "m = 1")
@example(typed="(" * 3000)
@example(typed="algo in (" + "'a', " * 40_000 + "'b')")
def test_filters(results, record_run, place, tame, typed):
    if not runs.count(results):
        record_run(tags=["paper"], settings={"beta": 0.5, "m": 10}, note="x")
    before = _content(results)
    tame("runs", "--json", "--where", typed)
    assert _content(results) == before


@hostile
@given(typed=assignments)
@example(typed="hidden_sizes=" + "[" * 2000)
@example(typed="beta=" + "9" * 10_000)
def test_set(place, tame, typed):
    tame(*DRY, "--set", typed)
    assert list(place.iterdir()) == []


@hostile
@given(typed=files)
@example(typed="x = " + "[" * 5000)
@example(typed="beta = 1" + "0" * 5000)
def test_configuration_files(place, tame, typed):
    file = place / "settings.toml"
    file.write_bytes(typed.encode("utf-8", "surrogatepass"))
    tame(*DRY, "--config", str(file))
    assert [path.name for path in place.iterdir()] == ["settings.toml"]


@hostile
@given(typed=text)
@example(typed="f" * 100_000)
def test_prefixes(results, record_run, place, tame, typed):
    if not runs.count(results):
        record_run()
    for command in ("show", "evaluate", "resume"):
        tame(command, "--", typed)


@hostile
@given(typed=text)
@example(typed="~nobody-of-that-name/runs.db")
def test_names_of_databases(place, tame, typed):
    if "://" not in typed:
        assert tame("runs", "--db", typed) == 2
        assert list(place.iterdir()) == []


@pytest.mark.parametrize("typed", NASTY)
def test_tags_and_notes_come_back_as_they_are(results, record_run, place, tame, capsys, typed):
    stored = typed.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    run_id = record_run(tags=[typed], note=typed)
    quoted = "'" + stored.replace("'", "''") + "'"
    tame("show", run_id[:8])
    capsys.readouterr()
    assert main(["runs", "--json", "--where", f"note = {quoted}"]) == 0
    assert run_id in capsys.readouterr().out


def _content(results) -> list[str]:
    with results.connect() as session:
        return [repr(row) for row in session.connection().exec_driver_sql("SELECT * FROM run ORDER BY id")]
