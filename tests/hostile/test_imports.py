"""Whatever a log holds: its numbers are recorded, or one line says what is wrong with it, and nothing of it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import NASTY, hostile, hostile_as_typed
from logs import KINDS, exported
from sqlalchemy import delete

from dapo_cli.errors import BadInput
from dapo_cli.interchange import importing
from dapo_cli.interchange.formats import Reading
from store.records import runs
from store.schema.models import Run
from store.session import Database

GIVEN = importing.Given(algo="sac", env="Hopper-v4", seed=0, again=True)
COLUMNS = importing.Given()  # all that files must tell then


@pytest.fixture
def imported(results: Database, place: Path):
    """Imports a path, or says in one line why not; what is on record can be read, and is deleted again."""

    def attempt(path: Path, how: Reading, given: importing.Given) -> bool:
        try:
            logs = importing.read([path], how, given)
        except BadInput:
            return False
        finally:
            assert not Path("executed").exists()
        ids = [made.run_id for made in importing.record(results, logs, given)]
        for run_id, log in zip(ids, logs, strict=True):
            row = runs.get(results, run_id)
            assert (row["algo"], row["env"], row["seed"]) == (log.algo, log.env, log.seed)
            assert 0 <= row["step"] <= row["steps"]
        with results.transaction() as session:
            session.execute(delete(Run).where(Run.id.in_(ids)))
        return True

    return attempt


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind, imported, place):
    name, contents = KINDS[kind]
    outcomes = set()

    @hostile
    @given(content=contents(), data=st.data())
    def attempt(content, data):
        Path(name).write_bytes(content)
        how = Reading(
            "csv" if kind == "csv" else "auto",
            kind=data.draw(st.sampled_from([None, "episode"])) if kind == "csv" else None,
        )
        outcomes.add(imported(place / name, how, data.draw(st.sampled_from([GIVEN, GIVEN, COLUMNS]))))

    attempt()
    assert outcomes == {True, False}  # both are tried


@pytest.mark.parametrize("format_", ["stable-baselines3", "spinning-up", "tensorboard", "csv"])
def test_what_is_no_file_of_the_format(format_, imported, place):
    @hostile_as_typed
    @given(content=st.binary(max_size=200))
    def attempt(content):
        Path("log").write_bytes(content)
        imported(place / "log", Reading(format_), GIVEN)

    attempt()


def test_exported_folders(imported, place):
    outcomes = set()

    @hostile
    @given(files=exported())
    def attempt(files):
        folder = place / "folder"
        folder.mkdir()
        try:
            for name, content in files.items():
                (folder / name).write_bytes(content)
            outcomes.add(imported(folder, Reading(), importing.Given(again=True)))
        finally:
            shutil.rmtree(folder)

    attempt()
    assert outcomes == {True, False}


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize("given_", [[], ["--algo", "sac", "--env", "Hopper-v4", "--seed", "0"]])
def test_names_in_files_as_typed(nasty, given_, place, tame):
    """The same by the command, which shows what is wrong, or what it imported, without obeying it."""
    nasty = nasty.encode("utf-8", "replace").decode().replace("\0", "")
    quoted = nasty.replace('"', '""')
    (place / "monitor.csv").write_text(f'#{{"t_start": 0, "env_id": "e{quoted}"}}\nr,l,t\n1,2,3\n')
    (place / "a.csv").write_text(f'step,return,"{quoted}"\n1,2,3\n1,"{quoted}",3\n')
    (place / "b.csv").write_text(f'step,return,"x{quoted}"\n1,2,3\n')
    for path in ("monitor.csv", "a.csv", "b.csv", nasty or "none"):
        tame("import", *given_, "--kind", "episode", *(["--format", "csv"] if path[1:] == ".csv" else []), "--", path)
    tame("runs")
