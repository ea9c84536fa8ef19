"""What `--db` may name: a file, also by a link; nothing else, and then nothing is created."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from store.records import runs
from store.session import Database

TINY = "--algo sac --env Pendulum-v1 --steps 20 --eval-episodes 1 --set batch_size=8 -q"
COMMANDS = {
    "train": f"train {TINY} --db {{db}}",
    "import": "import log.csv --algo sac --env Pendulum-v1 --kind episode --seed 0 --db {db}",
    "merge": "merge good.db --db {db}",
    "merged": "merge {db} --db target.db",
    "check": "db check --db {db}",
    "backup": "db backup copy.db --db {db}",
    "upgrade": "db upgrade --db {db}",
    "runs": "runs --db {db}",
    "compare": "compare --db {db}",
    "evaluate": "evaluate abc --db {db}",
    "resume": "resume --all --db {db}",
    "worker": "worker --db {db}",
}


@pytest.fixture
def kinds(tmp_path: Path) -> dict[str, str]:
    """A name of each kind that is no file's."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-null").symlink_to("/dev/null")
    (tmp_path / "circle").symlink_to("circle")
    names = {name: name for name in ("fifo", "socket", "folder", "to-null")}
    return names | {"null": "/dev/null", "full": "/dev/full", "url": "sqlite:////dev/null"}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_device_or_pipe_is_taken_for_a_database(command, kinds, refused, tmp_path):
    (tmp_path / "log.csv").write_text("step,return\n1,1\n2,2\n")
    with Database.write(str(tmp_path / "good.db")):
        pass
    before = sorted(tmp_path.rglob("*"))
    for kind, name in kinds.items():
        message = refused(*command.format(db=name).split())
        what = "a folder" if kind == "folder" else "a device or a pipe"
        assert message == f"{name} is {what}, not a results database: name a file with --db"
        left = [path for path in tmp_path.rglob("*") if not path.name.startswith("target.db")]
        assert sorted(left) == before
        assert not Path("/dev/null.files").exists()


def test_a_link_that_leads_to_itself(kinds, refused):
    assert "circle" in refused("runs", "--db", "circle")
    assert "circle" in refused(*f"train {TINY} --db circle".split())


def test_a_link_is_another_name_of_the_same_database(dapo, trained_run, tmp_path):
    """Files, locks and checks are those of the file that it leads to, whichever name is typed."""
    Path("shelf").mkdir()
    Path("shelf/link.db").symlink_to("../runs.db")
    by_link, by_name = Database.read("shelf/link.db"), Database.read("runs.db")
    assert (by_link.path, by_link.files) == (by_name.path, by_name.files)
    assert dapo("db", "check", "--db", "shelf/link.db").out == "whole; 2 checkpoints read\n"
    assert dapo("evaluate", trained_run, "--db", "shelf/link.db").code == 0
    assert dapo(*f"train {TINY} --db shelf/link.db".split()).code == 0
    assert [path.name for path in Path("shelf").iterdir()] == ["link.db"]
    with Database.read("runs.db") as database:
        new = runs.listing(database)[0]["id"]
    assert (tmp_path / "runs.db.files" / new).is_dir()


def test_a_link_to_a_database_that_is_still_to_be_made(dapo):
    Path("disk").mkdir()
    Path("link.db").symlink_to("disk/runs.db")
    assert dapo(*f"train {TINY} --db link.db".split()).code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["disk", "link.db"]
    assert Path("disk/runs.db.files").is_dir()


def test_files_that_an_older_dapo_put_beside_a_link(dapo, refused, trained_run):
    Path("link.db").symlink_to("runs.db")
    shutil.copytree("runs.db.files", "link.db.files")
    message = refused("runs", "--db", "link.db")
    assert message.endswith("and delete that folder")
    assert "whose runs' files belong in" in message
    shutil.rmtree("link.db.files")
    Path("link.db.files").symlink_to("runs.db.files")  # the same folder
    assert dapo("runs", "--db", "link.db").code == 0
