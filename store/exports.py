"""Exported tables: what each was made from, by its key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from store._values import clean, decode_json, encode_json, now
from store.models import Export
from store.session import Database


def record(db: Database, key: str, command: str, definition: dict[str, Any]) -> None:
    """Keep an export; one that has this key already stays as it is."""
    with db.transaction() as session:
        if session.get(Export, key) is None:
            row = {"key": key, "created_at": now(), "command": clean(command)}
            session.execute(insert(Export), [row | {"definition": clean(encode_json(definition) or "{}")}])


def find(db: Database, key: str) -> dict[str, Any] | None:
    """`key`, `created_at`, `command` and `definition` of an export; None for one that is not on record."""
    table = Export.__table__
    with db.connect() as session:
        row = session.execute(select(table).where(table.c.key == key)).mappings().one_or_none()
    return None if row is None else {**row, "definition": decode_json(row["definition"])}


def keys(db: Database) -> list[str]:
    """The keys of all exports, the latest first."""
    with db.connect() as session:
        return list(session.scalars(select(Export.key).order_by(Export.created_at.desc(), Export.key)))
