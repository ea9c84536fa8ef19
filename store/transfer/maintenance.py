"""What `dapo db` does: describe a database, bring it up to date, copy it with its runs' files."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, func, select, text
from sqlalchemy.orm import Session

from store.connection import reading, run_files, sqlite
from store.connection.durable import flush_all, flush_names
from store.connection.failures import translated, translated_files
from store.errors import CannotWrite, StoreError
from store.records.liveness import dead_runs
from store.schema import revisions
from store.session import Database

_UNFINISHED = "unfinished"  # a file in the folder of a copy whose database has not got its name yet


def info(location: str) -> dict[str, Any]:
    """A database, of any revision, in figures.

    `location`, `bytes`, `journal_mode` (None for a server), `files` (the folder with runs' files), `files_bytes`,
    `schema` and `head` (revisions), `rows` (table -> count), `runs` (effective status -> count).
    """
    with Database(location, writable=False) as db:
        revision = db.revision(revisions.stamped)
        if revision is None:
            raise StoreError(f"no results in {db.location} yet: train a run first (dapo train …)")
        dead = dead_runs(db)
        tables = MetaData()
        with db.connect() as session:
            tables.reflect(session.connection())
            rows = {
                name: session.scalar(select(func.count()).select_from(table))
                for name, table in sorted(tables.tables.items())
                if name != "alembic_version"
            }
            query = text("SELECT status, count(*) FROM run GROUP BY status")
            statuses = {str(status): int(count) for status, count in session.execute(query)}
            size = _bytes(db, session)
        if dead:
            statuses["running"] -= len(dead)
            statuses["interrupted"] = statuses.get("interrupted", 0) + len(dead)
        wal = db.path is not None and sqlite.uses_wal(sqlite.header(db.path))
        return {
            "location": db.location,
            "bytes": size,
            "files": str(db.files),
            "files_bytes": run_files.size(db.files),
            "journal_mode": None if db.path is None else "wal" if wal else "delete",
            "schema": revision,
            "head": revisions.HEAD,
            "rows": rows,
            "runs": {status: count for status, count in sorted(statuses.items()) if count},
        }


def upgrade(location: str) -> tuple[str, str, Path | None]:
    """Bring an existing database to the newest schema: (old revision, new revision, backup or None).

    Equal revisions mean that nothing was to be done. A server's tables are upgraded in one transaction, without backup.
    """
    with Database(location, writable=False) as db:
        old = db.revision()
        if old is None:
            raise StoreError(f"no results in {db.location} yet: train a run first (dapo train …)")
    with Database.write(location) as db:
        return db.upgraded or (old, revisions.HEAD, None)


def backup(location: str, target: str | Path) -> Path:
    """Copy a database, and its runs' files beside the copy, while runs may be training; returns the copy's path.

    Both get their names when they are whole; an existing target is refused, but for the folder of a backup that died
    before its database had its name. A checkpoint that its run replaced during
    the copy is left out.
    """
    target = Path(target).expanduser().absolute()
    folder = target.with_name(target.name + ".files")
    died = not target.exists() and (folder / _UNFINISHED).is_file()
    for path in (target, folder):
        if path.exists() and not died:
            raise CannotWrite(f"{path} exists already: name another target")
    with Database(location, writable=False) as db:
        if db.path is None:
            raise StoreError(f"{db.location} is on a server: use the server's own tool, such as pg_dump")
        db.revision()
        if not target.parent.is_dir():
            raise CannotWrite(f"no folder {target.parent} for the copy: create it, or name another target")
        parts = [path.with_name(f"{path.name}.part-{os.getpid()}") for path in (target, folder)]
        try:
            with translated(db.location), translated_files(f"the copy {target}", "another target"):
                reading.copy(db.path, parts[0])
                _copy_files(db.files.resolve(), parts[1])  # which may lie elsewhere, by a link
                _drop_replaced_checkpoints(db, parts[0], parts[1])
                (parts[1] / _UNFINISHED).touch()
                flush_all(parts[1])
                if died:
                    shutil.rmtree(folder)
                parts[1].rename(folder)
                parts[0].rename(target)
                (folder / _UNFINISHED).unlink()
                for place in (folder, target.parent):
                    flush_names(place)
        finally:
            with suppress(OSError):
                parts[0].unlink(missing_ok=True)
            shutil.rmtree(parts[1], ignore_errors=True)
    return target


def _bytes(db: Database, session: Session) -> int | None:
    if db.path is not None:
        return _size(db.path) + _size(sqlite.wal_of(db.path))
    if session.connection().dialect.name == "postgresql":
        return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    return None


def _copy_files(source: Path, target: Path) -> None:
    """Copy the files of runs into a new folder. ForeignFile; StoreError for what can't be read; OSError of writing."""
    target.mkdir()
    for folder, names in run_files.walk(source):
        place = target / folder.relative_to(source)
        place.mkdir(exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):  # its run has just replaced it
                _copy_file(folder / name, place / name)


def _copy_file(source: Path, target: Path) -> None:
    try:
        shutil.copy2(source, target)
    except PermissionError as error:
        if error.filename != str(source):
            raise
        raise StoreError(f"can't read {source}: {error.strerror}: ask its owner, or change its permissions") from error


def _drop_replaced_checkpoints(db: Database, copy: Path, files: Path) -> None:
    # A run forgets a checkpoint before it deletes its files: one that is still on record now was copied whole.
    query = "SELECT run_id, step, path, sha256 FROM checkpoint"
    with db.connect() as session:
        current = {tuple(row) for row in session.execute(text(query))}
    connection = sqlite.connect_writing(copy)
    try:
        for row in connection.execute(query).fetchall():
            run_id, step, path, _ = row
            if row not in current or not (files / run_id / path).exists():
                connection.execute("DELETE FROM checkpoint WHERE run_id = ? AND step = ?", (run_id, step))
    finally:
        connection.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
