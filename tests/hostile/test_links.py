"""Symbolic links in a copied folder: no command follows one, and each says in one line which it is."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dapo_cli.app import main
from store.records import runs
from store.session import Database

# Where a link is planted, in a run's folder ("": the folder itself), and to what: a folder or a file of a stranger's.
PLACES = {
    "": "home",
    "lock": "home/new",
    "replay": "home",
    "checkpoints": "home",
    "checkpoints/{step}": "home",
    "checkpoints/{step}/tensors.safetensors": "home/letter",
    "checkpoints/{step}/manifest.json": "home/letter",
    "replay/{segment}": "home/letter",
    "notes": "nowhere",
}
COMMANDS = {
    "resume": "resume {run}",
    "resume all": "resume --all",
    "train on": "train --from {run} --steps 400 -q",
    "preview": "train --from {run} --steps 400 --dry-run",
    "delete": "delete {run} --yes",
    "backup": "db backup copy.db",
    "bundle": "bundle parcel --with-files",
    "merge": "merge runs.db --db other.db",
    "policy": "export-policy {run} --out policy",
    "evaluate": "evaluate {run}",
}


def state(folder: Path) -> dict[str, object]:
    """Everything at `folder` and below: files with their contents, links with what they lead to."""
    found: dict[str, object] = {}
    for place in sorted(folder.rglob("*")):
        content = str(place.readlink()) if place.is_symlink() else place.read_bytes() if place.is_file() else None
        found[str(place.relative_to(folder))] = content
    return found


@pytest.fixture
def home(place: Path) -> Path:
    """A stranger's folder, with files whose names are not ours and whose names are."""
    home = place / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    (home / "000000000001-000000000002.safetensors").write_text("mine")
    (home / "manifest.json").write_text("{}")
    return home


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs dapo, which must refuse in one line; returns that."""

    def run(command: str) -> str:
        capsys.readouterr()
        code = main(command.split())
        err = capsys.readouterr().err
        errors = [line for line in err.splitlines() if line.startswith("dapo: ") and "dapo: warning" not in line]
        assert (code, len(errors)) == (2, 1), err
        assert "Traceback" not in err
        return errors[0]

    return run


def plant(run: str, where: str, target: Path) -> Path:
    """Puts a link in place of what is there; returns it."""
    folder = Path("runs.db.files", run)
    step = max(path.name for path in (folder / "checkpoints").iterdir())
    segment = min(path.name for path in (folder / "replay").iterdir())
    link = folder / where.format(step=step, segment=segment)
    if link.is_dir():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
    link.symlink_to(target)
    return link


def interrupt(run: str) -> None:
    with Database.write("runs.db") as database:
        runs.set_status(database, run, "interrupted")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("where", ["", "replay", "lock"])
def test_no_command_follows_a_link(where: str, command: str, trained_run: str, home: Path, refused) -> None:
    _refuses(where, command, trained_run, home, refused)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("where", sorted(set(PLACES) - {"", "replay", "lock"}))
def test_no_command_follows_any_link(where: str, command: str, trained_run: str, home: Path, refused) -> None:
    _refuses(where, command, trained_run, home, refused)


def _refuses(where: str, command: str, run: str, home: Path, refused: Callable[..., str]) -> None:
    if command.startswith("resume"):
        interrupt(run)
    link = plant(run, where, home.parent / PLACES[where])
    before = state(home)
    message = refused(command.format(run=run))
    assert f"{link} is a symbolic link" in message
    assert message.endswith("see where it leads, then delete it, or put a copy of that in its place")
    assert state(home) == before
    assert str(link.readlink()) == str(home.parent / PLACES[where])
    with Database.read("runs.db") as database:
        assert [row["id"] for row in runs.listing(database)] == [run]
    assert not [name for name in ("copy.db", "copy.db.files", "parcel", "policy") if Path(name).exists()]


@pytest.mark.parametrize("where", PLACES)
def test_a_check_reports_a_link(where: str, trained_run: str, home: Path, capsys) -> None:
    link = plant(trained_run, where, home.parent / PLACES[where])
    assert main(["db", "check"]) == 1
    assert f"run {trained_run}: {link.absolute()} is a symbolic link" in capsys.readouterr().err
    assert main(["runs"]) == 0


def test_a_merge_into_a_folder_with_a_link(trained_run: str, home: Path, refused) -> None:
    shutil.copytree(".", "../theirs", ignore=shutil.ignore_patterns("home"))
    with Database.write("../theirs/runs.db") as database:
        runs.set_status(database, trained_run, "completed", heartbeat_at="2999-01-01T00:00:00.000000Z")
    link = plant(trained_run, "checkpoints", home)
    before = state(home)
    assert f"{link} is a symbolic link" in refused("merge ../theirs/runs.db")
    assert state(home) == before


def test_a_fifo_stops_nobody_for_good(trained_run: str, refused, capsys) -> None:
    fifo = plant(trained_run, "checkpoints/{step}/manifest.json", Path("nowhere"))
    fifo.unlink()
    os.mkfifo(fifo)
    line = f"{fifo} is neither a file nor a folder, so no run wrote it: delete it"
    assert line in refused(f"evaluate {trained_run}")
    assert line in refused("db backup copy.db")
    assert main(["db", "check"]) == 1
    assert line.removeprefix("runs.db.files") in capsys.readouterr().err


def test_a_locks_fifo_stops_nobody_for_good(trained_run: str, refused, tame) -> None:
    plant(trained_run, "lock", Path("nowhere")).unlink()
    os.mkfifo(Path("runs.db.files", trained_run, "lock"))
    with Database.write("runs.db") as database:
        runs.set_status(database, trained_run, "running", host=socket.gethostname())
    assert tame("runs") == 0
    assert "is neither a file nor a folder" in refused(f"resume {trained_run}")


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize(
    "command", ["runs", "resume --all", "db check", "db backup copy.db", "merge runs.db --db new.db"]
)
def test_the_logs_of_a_database_are_no_links(command: str, ending: str, trained_run: str, home: Path, refused) -> None:
    """SQLite would write to what they lead to, or cut it to nothing."""
    interrupt(trained_run)
    before = state(home)
    Path(f"runs.db{ending}").symlink_to(home / "letter")
    assert f"runs.db{ending} is a symbolic link" in refused(command)
    assert state(home) == before


def test_the_lock_of_a_database_is_no_link(place: Path, home: Path, refused) -> None:
    Path("runs.db.files").mkdir()
    Path("runs.db.files/lock").symlink_to(home / "new")
    tiny = "train --algo sac --env Pendulum-v1 --steps 20 -q --eval-episodes 1 --set batch_size=8"
    assert "runs.db.files/lock is a symbolic link" in refused(tiny)
    assert not (home / "new").exists()


def test_the_folder_of_all_runs_may_lie_elsewhere(trained_run: str, place: Path, tame) -> None:
    (place / "disk").mkdir()
    Path("runs.db.files").rename("disk/files")
    Path("runs.db.files").symlink_to("disk/files")
    interrupt(trained_run)
    assert tame("db", "backup", "copy.db") == 0
    assert (Path("copy.db.files") / trained_run / "checkpoints").is_dir()
    for command in (["evaluate", trained_run], ["resume", trained_run, "-q"], ["delete", trained_run, "--yes"]):
        assert tame(*command) == 0
    assert list(Path("disk/files").iterdir()) in ([], [Path("disk/files/lock")])


def test_a_foreign_id_deletes_no_folder_of_a_stranger(trained_run: str, home: Path, refused) -> None:
    """The planted case of the same: the folder of all runs leads home, and a run has a folder's name there."""
    shutil.rmtree("runs.db.files")
    Path("runs.db.files").symlink_to(home.parent)
    with Database.write("runs.db") as database:
        runs.create(database, run={"id": "home", "algo": "sac", "env": "Pendulum-v1", "seed": 0, "steps": 1})
        runs.set_status(database, "home", "completed")
    before = state(home)
    assert "was written by no run, so the run stays: move it elsewhere first" in refused("delete home --yes")
    assert state(home) == before


def test_pruning_deletes_only_what_a_run_wrote(trained_run: str) -> None:
    letter = Path("runs.db.files", trained_run, "replay", "letter.txt")
    letter.write_text("dear")
    interrupt(trained_run)
    with Database.write("runs.db") as database:
        row = runs.checkpoints(database, trained_run)[0]
        runs.remove_checkpoint(database, trained_run, row["step"])
    assert main(["resume", trained_run, "-q"]) == 0
    assert letter.read_text() == "dear"
