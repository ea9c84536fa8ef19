"""What a user names a results database by: a path, or an SQLAlchemy URL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.errors import StoreError


class Location(NamedTuple):
    """Where a database is, and where the files of its runs are."""

    shown: str  # to users: without a password
    url: URL  # with `files` in it, where it is a server's: all that another machine needs
    path: Path | None  # absolute, and of a link what it leads to; None for a server
    files: Path  # absolute


def parse(location: str) -> Location:
    """Take a location apart. `files=FOLDER` in the URL of a server says where the runs' files are. StoreError."""
    if "://" not in location:
        try:
            path = Path(location).expanduser()
        except RuntimeError as error:  # nobody of that name
            raise StoreError(f"{location}: there is no such home folder: write the path in full") from error
        if not location or path.name in ("", ".."):
            raise StoreError(f"{location!r} is no name for a results database: name a file with --db, such as runs.db")
        return _file(location, path)
    try:
        url = make_url(location)
    except (ArgumentError, ValueError) as error:
        hidden = re.sub(r"(://[^:/@\s]*):.*@", r"\1:***@", location)
        raise StoreError(
            f"{hidden} is no database URL: use a path or, for example, postgresql://user@host/name"
        ) from error
    if url.get_backend_name() != "sqlite":
        return _server(url)
    if not url.database or url.database == ":memory:":
        raise StoreError("a results database can't live in memory: name a file with --db, such as runs.db")
    return _file(location, Path(url.database))


def _file(location: str, path: Path) -> Location:
    typed, path = path.absolute(), path.absolute()
    if path.is_symlink():  # a name for a database elsewhere, whose files and locks are there
        path = Path(os.path.realpath(path))
        _refuse_files_beside_link(typed, path)
    return Location(location, URL.create("sqlite", database=str(path)), path, _files(path))


def _files(path: Path) -> Path:
    return path.with_name(path.name + ".files")


def _refuse_files_beside_link(link: Path, path: Path) -> None:
    """An older dapo put the files of runs beside the link, where nobody who names the file itself finds them."""
    if _files(link).is_dir() and os.path.realpath(_files(link)) != os.path.realpath(_files(path)):
        raise StoreError(
            f"{link} is a link to {path}, whose runs' files belong in {_files(path)}: "
            f"move there what is in {_files(link)}, and delete that folder"
        )


def _server(url: URL) -> Location:
    shown = url.render_as_string(hide_password=True)
    if not url.database:
        raise StoreError(f"{shown} names no database: append /name")
    folder = url.query.get("files", f"{url.database}.files")
    if isinstance(folder, tuple) or not folder:
        raise StoreError(f"{shown}: files= names one folder, such as files=/shared/dapo")
    try:
        files = Path(folder).expanduser().absolute()
    except RuntimeError as error:
        raise StoreError(f"{folder}: there is no such home folder: write the path in full") from error
    return Location(shown, url.update_query_dict({"files": str(files)}), None, files)
