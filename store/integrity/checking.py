"""Is a database whole? Its pages, its references, the types of its values, and the files behind its rows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, select

from store.connection import reading, run_files
from store.connection.locks import RunLock
from store.errors import ForeignFile
from store.integrity import wrong_values
from store.schema.models import Checkpoint, Run
from store.session import Database

MOST = 20  # problems of one kind that are listed
VALUES = "values: "  # how such a problem begins


class Report(NamedTuple):
    """What `check` found. Without a problem, everything on record can be read and every checkpoint is whole."""

    problems: list[str]  # something is damaged, missing or wrong
    leftovers: list[str]  # folders that belong to no run: harmless, and yours to delete
    checkpoints: int  # whose files were read and compared with their hashes
    backups: list[Path]  # copies beside the database that an upgrade made, newest first
    apart: int = 0  # checkpoints that could not be read, as no run's files are here: a copy was made without them


def check(location: str) -> Report:
    """Look at everything and change nothing. StoreError if there is no database; damage is a problem, not an error."""
    with Database(location, writable=False) as raw:
        path = raw.path
        if path is not None:
            raw.refuse_other_kinds()
            if not path.exists():
                raw.revision()  # says so
            problems = list(_damage(path))
            backups = sorted(path.parent.glob(f"{path.name}.before-*"), key=lambda p: p.stat().st_mtime, reverse=True)
            if problems:
                return Report(problems, [], 0, backups)
        else:
            problems, backups = [], []
    with Database.read(location) as db:
        with db.connect() as session:
            problems += [f"{VALUES}{wrong}" for wrong in wrong_values.find(session)]
            rows = session.execute(select(Checkpoint.run_id, Checkpoint.path, Checkpoint.sha256)).all()
            ids = list(session.scalars(select(Run.id)))
        linked = {str(run_id): fault for run_id in ids if (fault := _foreign(db.run_folder(str(run_id)))) is not None}
        problems += [f"run {run_id}: {fault}" for run_id, fault in linked.items()]
        folders = {db.run_folder(str(run_id)) for run_id in ids}
        apart = not any(folder.is_dir() for folder in folders)
        for run_id, place, sha256 in [] if apart else rows:
            if str(run_id) in linked:
                continue
            fault = _fault(db.run_folder(str(run_id)), str(place), sha256)
            if fault is not None and _on_record(db, run_id, place):  # else its run has replaced it meanwhile
                problems.append(f"run {run_id}: checkpoint {place}: {fault}")
        read, unread = (0, len(rows)) if apart else (len(rows), 0)
        return Report(problems, list(_leftovers(db, folders)), read, backups, unread)


def _damage(path: Path) -> Iterator[str]:
    """Of the file itself: what SQLite finds, at most MOST of it."""
    try:
        connection = reading.connect(path)
    except sqlite3.Error as error:
        yield f"the file can't be opened: {error}"
        return
    try:
        for (line,) in connection.execute(f"PRAGMA integrity_check({MOST})"):
            if line != "ok":
                yield f"the file is damaged: {line}"
        for number, (table, row, parent, _) in enumerate(connection.execute("PRAGMA foreign_key_check")):
            if number < MOST:
                yield f"a row of {table} ({row}) belongs to no {parent}"
    except sqlite3.Error as error:
        yield f"the file is damaged: {error}"
    finally:
        connection.close()


def _foreign(folder: Path) -> str | None:
    """What a link in a run's folder is called, which nothing there is opened through."""
    try:
        run_files.check(folder)
    except ForeignFile as error:
        return str(error)
    return None


def _fault(folder: Path, place: str, sha256: str) -> str | None:
    """What is wrong with the files of a checkpoint, if anything is."""
    manifest = folder / place / "manifest.json"
    if folder.resolve() not in manifest.parent.resolve().parents:
        return "its path leads out of the run's folder"
    try:
        content = manifest.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            return "manifest.json is damaged"
        listed: dict[str, Any] = json.loads(content)
        files = {_beside(manifest.parent, name): hash_ for name, hash_ in listed["files"].items()}
        if (folder / "replay").is_dir():  # a completed run has dropped it
            files |= {_beside(folder / "replay", segment["file"]): segment["sha256"] for segment in listed["replay"]}
        for file, hash_ in files.items():
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != hash_:
                    return f"{file.name} is damaged"
    except OSError as error:
        return f"{Path(error.filename or manifest).name}: {error.strerror}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"manifest.json is none: {error}"
    return None


def _beside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"it names {name!r}, which is no file of a checkpoint")
    return folder / name


def _on_record(db: Database, run_id: str, place: str) -> bool:
    query = select(func.count()).where(Checkpoint.run_id == run_id, Checkpoint.path == place)
    with db.connect() as session:
        return bool(session.scalar(query))


def _leftovers(db: Database, known: set[Path]) -> Iterator[str]:
    """Folders of no run: of a run that died between its first file and its row, of a deletion or a merge that did."""
    if not db.files.is_dir():
        return
    for folder in sorted(db.files.iterdir()):
        if (folder.is_dir() or folder.is_symlink()) and folder not in known and not RunLock.is_held(folder / "lock"):
            yield str(folder)
