"""Whatever is typed: an answer, or one line and exit code 2, and nothing is written or run.

Each kind of input is tried twice: often by what reads it, and less often by the whole command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from inputs import NASTY, assignments, files, filters, hostile, hostile_as_typed, text

from dapo_cli.analysis.selection import listing
from dapo_cli.app import main
from dapo_cli.configuration import run_configuration, setting_files
from dapo_cli.errors import BadInput
from store.errors import StoreError
from store.records import runs
from store.session import Database

OPTIONS = {"algo": "dapo-kl", "env": "Pendulum-v1"}
DRY = ["train", "--algo", "dapo-kl", "--env", "Pendulum-v1", "--dry-run"]


def taken(function: Callable[..., object], *arguments: object, **options: object) -> bool:
    """Whether the function takes what was typed; if not, it says so."""
    try:
        function(*arguments, **options)
    except (BadInput, StoreError):
        return False
    return True


def examples(*typed: str) -> Callable[..., object]:
    """These are tried, too."""

    def decorate(test: object) -> object:
        for one in typed:
            test = example(typed=one)(test)
        return test

    return decorate


LONG_FILTERS = examples(
    "note = 'x' or " * 500 + "m = 1", "not " * 3000 + "m = 1", "(" * 3000, "algo in (" + "'a', " * 40_000 + "'b')"
)
LONG_SETTINGS = examples("hidden_sizes=" + "[" * 2000, "beta=" + "9" * 10_000)
LONG_FILES = examples("x = " + "[" * 5000, "beta = 1" + "0" * 5000)


@pytest.fixture
def one_run(results, record_run):
    record_run(tags=["paper"], settings={"beta": 0.5, "m": 10}, note="x")
    return results


@hostile
@given(typed=filters)
@LONG_FILTERS
def test_filters(one_run, typed):
    before = _content(one_run)
    taken(listing.select_runs, one_run, where=typed)
    assert _content(one_run) == before


@hostile_as_typed
@given(typed=filters)
@LONG_FILTERS
def test_filters_as_typed(one_run, place, tame, typed):
    before = _content(one_run)
    tame("runs", "--json", "--where", typed)
    assert _content(one_run) == before


@hostile
@given(typed=assignments)
@LONG_SETTINGS
def test_set(place, typed):
    taken(run_configuration.resolve, OPTIONS, [typed])


@hostile_as_typed
@given(typed=assignments)
@LONG_SETTINGS
def test_set_as_typed(place, tame, typed):
    tame(*DRY, "--set", typed)
    assert list(place.iterdir()) == []


@hostile
@given(typed=files)
@LONG_FILES
def test_configuration_files(place, typed):
    Path("settings.toml").write_bytes(typed.encode("utf-8", "surrogatepass"))
    taken(run_configuration.resolve, OPTIONS, config_file=Path("settings.toml"))


@hostile_as_typed
@given(typed=files)
@LONG_FILES
def test_configuration_files_as_typed(place, tame, typed):
    file = place / "settings.toml"
    file.write_bytes(typed.encode("utf-8", "surrogatepass"))
    tame(*DRY, "--config", str(file))
    assert [path.name for path in place.iterdir()] == ["settings.toml"]


@hostile
@given(typed=text)
@examples("f" * 100_000)
def test_prefixes(one_run, typed):
    taken(runs.resolve, one_run, typed)
    taken(setting_files.preset, typed)


@hostile_as_typed
@given(typed=text)
@examples("f" * 100_000)
def test_prefixes_as_typed(one_run, place, tame, typed):
    for command in ("show", "evaluate", "resume"):
        tame(command, "--", typed)


@hostile
@given(typed=text)
@examples("~nobody-of-that-name/runs.db")
def test_names_of_databases(place, typed):
    if "://" not in typed:
        assert not taken(Database.read, typed)
        assert list(place.iterdir()) == []


@hostile_as_typed
@given(typed=text)
@examples("~nobody-of-that-name/runs.db")
def test_names_of_databases_as_typed(place, tame, typed):
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
