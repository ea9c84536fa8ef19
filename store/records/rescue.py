"""What a run that trains does when its database file vanishes: everything goes into a copy, in which it goes on."""

from __future__ import annotations

from contextlib import suppress
from shlex import quote

from sqlalchemy import select

from store.connection.failures import translated_files
from store.errors import CannotWrite, StoreError
from store.records.copied_files import place
from store.schema.models import Checkpoint, Run
from store.schema.revisions import free_name
from store.session import Database


def rescue(db: Database, run_id: str, loss: str) -> None:
    """Bring all rows and files into a database beside the lost one, move there, and note in `db.rescued` what it was.

    The copy is whole: it can be merged into another database, or used as it is. `loss` says what happened. StoreError.
    """
    if db.path is None:
        raise ValueError("a server's database has no file")
    lost, shown, files = db.path, db.location, db.files
    with translated_files(f"a copy of {shown}"):
        beside = lost.parent if lost.parent.is_dir() else lost.cwd()  # the folder may be gone as well
        target = free_name(beside / lost.name, f"rescued-{run_id}")
    try:
        db.move(target)
    except StoreError as error:
        raise CannotWrite(f"{loss} while run {run_id} was training, and can't be copied: {error}") from error
    merge = f"dapo merge {quote(str(target))} --db {quote(shown)}"
    db.rescued = f"{loss} while run {run_id} was training: all rows are in {target}: bring them back with: {merge}"
    with db.connect() as session:
        ids = session.scalars(select(Run.id)).all()
    for other in ids:
        with suppress(OSError, StoreError):  # what can't be brought along is not on record in the copy
            place(files / db.run_folder(other).name, db.run_folder(other))
    with db.transaction() as session:
        for checkpoint in session.scalars(select(Checkpoint)):
            if not (db.run_folder(checkpoint.run_id) / checkpoint.path).is_dir():
                session.delete(checkpoint)
