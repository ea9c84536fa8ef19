"""Values that no dapo writes: of another type, of a kind that it does not know, out of range, or text that is no JSON.

SQLite takes any value in any column, and another program may have made the tables without our constraints. Readers
trust their rows, which keeps them simple and quick; where one fails, or `dapo db check` asks, this says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from shlex import quote
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Integer, String, and_, func, not_, or_, select, true, type_coerce
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from store.errors import StoreError, WrongValue
from store.schema.encoding import decode_json, decode_setting
from store.schema.models import ORIGINS, STATUSES, SWEEP_STATES, Base, Hyperparameter
from store.session import Database

SHOWN = 3  # rows of a column that are named
_LARGEST = 1.7976931348623157e308
_SQLITE = {int: ("integer",), float: ("real", "integer"), bool: ("integer",), str: ("text",)}
_NUMBERS = ("nan", "inf", "-inf")
_WORDS = {
    "run.kind": ("train", "tuning", "theory"),
    "run.status": STATUSES,
    "run.exactness": ("exact", "approximate"),
    "hyperparameter.type": ("bool", "int", "float", "str", "list", "null"),
    "hyperparameter.origin": ORIGINS,
    "episode.return_kind": _NUMBERS,
    "evaluation.return_kind": _NUMBERS,
    "evaluation.actions": ("mean", "sampled"),
    "metric.value_kind": _NUMBERS,
    "sweep.state": SWEEP_STATES,
}
_OBJECTS = ("run.versions", "event.data", "sweep.definition", "export.definition")
_TIMES = ("run.created_at", "run.started_at", "run.ended_at", "run.heartbeat_at", "worker.heartbeat_at")
_EXPECTED = {int: "a whole number from 0 on", float: "a finite number", bool: "0 or 1", str: "a text"}


class Wrong(NamedTuple):
    """What is wrong in one column: how many rows at least, what is expected there, and the first rows.

    `rows` are of (what names the row, such as "run 0123456789abcdef", and the value as it stands).
    """

    column: str
    expected: str
    total: int
    rows: list[tuple[str, Any]]

    def __str__(self) -> str:
        shown = ", ".join(f"{_shown(value)} ({row})" for row, value in self.rows)
        more = f" and {self.total - len(self.rows)} more" if self.total > len(self.rows) else ""
        return f"{self.column} is {shown}{more}, where {self.expected} is expected"


def find(session: Session) -> Iterator[Wrong]:
    """The columns with wrong values, the smaller tables first."""
    tables = sorted(Base.metadata.sorted_tables, key=lambda table: table.name in ("episode", "evaluation", "metric"))
    for table in tables:
        own = [key.name for key in table.primary_key]
        keys = list(dict.fromkeys([*(["run_id"] if "run_id" in table.c else []), *own]))
        naming = [type_coerce(table.c[name], String) for name in keys]
        for column in table.c:
            name = f"{table.name}.{column.name}"
            wrong = not_(_is_sound(session, column, _WORDS.get(name)))
            query = select(type_coerce(column, String), *naming).where(wrong)
            rows = [(_row(table.name, keys, row[1:]), row[0]) for row in session.execute(query.limit(SHOWN))]
            expected = _EXPECTED[column.type.python_type] if name not in _WORDS else f"one of {', '.join(_WORDS[name])}"
            if rows:
                count = session.scalar(select(func.count()).select_from(table).where(wrong)) or len(rows)
                yield Wrong(name, expected, count, rows)
            elif (check := _text_check(name)) is not None:
                texts = select(type_coerce(column, String), *naming).where(column.is_not(None))
                what, is_sound = check
                rows = [
                    (_row(table.name, keys, row[1:]), row[0]) for row in session.execute(texts) if not is_sound(row[0])
                ]
                if rows:
                    yield Wrong(name, what, len(rows), rows[:SHOWN])
    yield from _settings(session)


@contextmanager
def explained(db: Database) -> Iterator[None]:
    """Turn an error of the body into WrongValue where a wrong value of the database is its likely cause."""
    try:
        yield
    except Exception as error:
        if (found := cause(error, [db.location])) is not None:
            raise WrongValue(found) from error
        raise


def cause(error: Exception, locations: Iterable[str]) -> str | None:
    """One line about the first wrong value of these databases, where it may have led to `error`; else None.

    That is an error that nobody foresaw, or a value that another database did not take.
    """
    if isinstance(error, OSError | MemoryError):
        return None
    if isinstance(error, StoreError) and not isinstance(error.__cause__, IntegrityError | DataError):
        return None
    return next((found for location in locations if (found := _first(location)) is not None), None)


def refuse(session: Session, location: str) -> None:
    """Raise WrongValue if the database, which is at `location`, has a wrong value."""
    for wrong in find(session):
        more = f" (and {wrong.total - 1} more)" if wrong.total > 1 else ""
        shown = wrong._replace(rows=wrong.rows[:1], total=1)
        remedy = f"correct it, or delete that run: dapo db check --db {quote(location)} lists all such values"
        raise WrongValue(f"results database {location}: {shown}{more}: {remedy}")


def _first(location: str) -> str | None:
    try:
        with Database.read(location) as db, db.connect() as session:
            refuse(session, db.location)
    except WrongValue as found:
        return str(found)
    except StoreError:  # it can't be read any more
        pass
    return None


def _is_sound(session: Session, column: Column[Any], words: tuple[str, ...] | None) -> ColumnElement[bool]:
    """The condition that the value is one that we write. It is never NULL."""
    kind = column.type.python_type
    sound: list[ColumnElement[bool]] = []
    if words is not None:
        sound.append(column.in_(words))
    elif kind is bool:
        sound.append(type_coerce(column, Integer).in_((0, 1)) if _is_sqlite(session) else column.is_not(None))
    elif kind is int:
        sound.append(column >= 0)
    elif kind is float:
        sound.append(func.abs(column) <= _LARGEST)
    if _is_sqlite(session):
        sound.append(func.typeof(column).in_(_SQLITE[kind]))
    whole = and_(true(), *sound)  # a text may have any value on a server
    return or_(column.is_(None), whole) if column.nullable else and_(column.is_not(None), whole)


def _is_sqlite(session: Session) -> bool:
    return session.connection().dialect.name == "sqlite"


def _text_check(name: str) -> tuple[str, Callable[[Any], bool]] | None:
    """What a text must be, beyond a text: (in words, the check)."""
    if name in _OBJECTS:
        return "a JSON object", lambda text: decode_json(text) is not None
    return ("a time in ISO 8601", _is_time) if name in _TIMES else None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _settings(session: Session) -> Iterator[Wrong]:
    kinds = {"bool": bool, "int": int, "float": float, "list": list, "null": type(None)}
    query = select(Hyperparameter.value, Hyperparameter.type, func.min(Hyperparameter.run_id), func.count())
    query = query.where(Hyperparameter.type != "str").group_by(Hyperparameter.value, Hyperparameter.type)
    found: dict[str, list[tuple[str, Any, int]]] = {}
    for value, type_, run_id, count in session.execute(query):
        if type_ in kinds and type(decode_setting(value, type_)) is not kinds[type_]:
            found.setdefault(type_, []).append((f"run {run_id}", value, count))
    missing = select(func.min(Hyperparameter.run_id), func.count())
    (run_id, count) = session.execute(missing.where(Hyperparameter.type == "str", Hyperparameter.value.is_(None))).one()
    if count:
        found["str"] = [(f"run {run_id}", None, count)]
    for type_, rows in found.items():
        shown = [(row, value) for row, value, _ in rows[:SHOWN]]
        yield Wrong("hyperparameter.value", f"a value of type {type_}", sum(row[2] for row in rows), shown)


def _row(table: str, keys: list[str], values: Any) -> str:
    named = dict(zip(keys, values, strict=True))
    if table == "run":
        return f"run {_plain(named['id'])}"
    others = [f"{name} {_plain(value)}" for name, value in named.items() if name != "run_id"]
    return " ".join([*([f"run {_plain(named['run_id'])}"] if "run_id" in named else []), *others])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 40 else _shown(value)


def _shown(value: Any) -> str:
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= 42 else f"{text[:40]}…"
