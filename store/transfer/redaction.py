"""What a record loses before it leaves the machine: the folders of every path, and on request who and where."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Text, select

from store.records.streaming import columns
from store.schema.models import Base, Run, Worker
from store.session import Database

DROPPED: Mapping[str, tuple[str, ...]] = {"run": ("host", "pid", "worker_id"), "event": ("data",)}
"""Table -> columns that an anonymous copy has no value in. The data of an event is a session's host, or a traceback."""

_COMMON = {"root", "localhost", "dapo"}  # names that tell nothing
_EDGE = r"(?<![\w./~<\\)\]}+])"  # a path begins here: not in a word, a relative path, a URL, a quotient or HTML
_HOMES = r"/home/[\w.@+-]+|/Users/[\w.@+-]+|/root"
_ADDRESSES = re.compile(
    r"(?:ssh|git|https?)://\S+?\.git\b|[\w.+-]+@[\w.-]+:[\w./~-]+\.git\b|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
)  # of git remotes, and e-mail


class Redaction:
    """Takes out of texts what the reader of a copy need not know.

    Of an absolute path its last name is left. With `names` (of hosts and people -> what stands for them) the copy is
    `anonymous`: these names go, and so do e-mail addresses and git remotes.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self.anonymous = names is not None
        known = {os.environ.get(name, "").rstrip("/") for name in ("HOME", "PWD")} - {""}
        folders = "|".join([*map(re.escape, sorted(known, key=len, reverse=True)), _HOMES])
        end = r"(?=[/\s'\"`,;:)\]}]|$)"
        # In quotes a path may hold spaces, and so may a folder that is known.
        self._paths = re.compile(
            rf"{_EDGE}(?:(?:file|sqlite[\w+]*):/*(?=/))?(?:(?<=['\"])(?!(?:{folders})['\"])/(?=[\w.@+~-])(?:[^'\"\n]*/)?"
            rf"|(?P<known>{folders}){end}(?!/)"
            rf"|(?:{folders}){end}/(?:[^\s'\"`]*/)?"
            r"|(?:~[\w.-]*)?/(?=[\w.@+~-])(?:[^\s'\"`]*/)?"
            r"|[A-Za-z]:[\\/]+(?=[\w.@+~-])(?:[^\s'\"`]*[\\/])?"
            r"|\\\\[\w.$-]+\\(?=[\w.@+~-])(?:[^\s'\"`]*\\)?)"
        )
        self._names = {
            name.casefold(): label
            for name, label in (names or {}).items()
            if len(name) > (1 if label == "host" else 2) and name not in _COMMON
        }
        ordered = "|".join(map(re.escape, sorted(self._names, key=len, reverse=True)))
        self._people = re.compile(rf"(?<![^\W_])(?:{ordered})(?![^\W_])", re.IGNORECASE) if ordered else None

    def text(self, text: str) -> str:
        """The text without what it must not tell; twice is as once."""
        if "/" in text or "\\" in text:
            text = self._paths.sub(lambda found: "." if found["known"] else "", text)
        if self.anonymous:
            text = _ADDRESSES.sub("…", text)
        if self._people is not None:
            text = self._people.sub(lambda found: self._names[found[0].casefold()], text)
        return text

    def value(self, value: Any) -> Any:
        """A value of a cell: text as `text`, any other as it is."""
        return self.text(value) if isinstance(value, str) else value

    def row(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of a table, column -> value, as it may leave the machine."""
        free, dropped = free_text(table), DROPPED.get(table, ()) if self.anonymous else ()
        return {
            name: None if name in dropped else self.value(value) if name in free else value
            for name, value in row.items()
        }

    def rows(self, table: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """The same for rows as `store.records.streaming` gives them."""
        free = [index for index, name in enumerate(columns(table)) if name in free_text(table)]
        if not free:
            yield from rows
            return
        for row in rows:
            yield tuple(self.value(value) if index in free else value for index, value in enumerate(row))

    def apply(self, connection: sqlite3.Connection) -> None:
        """Redact a copy of a database, in place; VACUUM it afterwards, as free pages keep what was there."""
        connection.create_function("redacted", 1, self.value, deterministic=True)
        for table in Base.metadata.tables:
            for column in sorted(free_text(table)):
                connection.execute(
                    f'UPDATE "{table}" SET "{column}" = redacted("{column}") WHERE "{column}" <> redacted("{column}")'
                )
            for column in DROPPED.get(table, ()) if self.anonymous else ():
                connection.execute(f'UPDATE "{table}" SET "{column}" = NULL')
        if self.anonymous:
            connection.execute("DELETE FROM worker")
        connection.commit()


def hosts(db: Database) -> set[str]:
    """The machines that a database names."""
    with db.connect() as session:
        return {
            host for column in (Run.host, Worker.host) for host in session.scalars(select(column).distinct()) if host
        }


def free_text(table: str) -> Collection[str]:
    """The columns of a table that hold text of any kind, and not a name by which something is found."""
    return {name for name, column in Base.metadata.tables[table].c.items() if isinstance(column.type, Text)}
