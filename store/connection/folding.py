"""Text in lower case, of every alphabet and on every database: what a search that ignores case compares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from store.connection.sqlite import LOWER


class lowered(FunctionElement[str]):  # noqa: N801 (as SQL has it)
    """The text as Python's `str.lower` has it. SQLite itself knows A to Z only, PostgreSQL what its locale does."""

    type = Text()
    inherit_cache = True


@compiles(lowered, "sqlite")
def _in_sqlite(element: lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f"{LOWER}({compiler.process(element.clauses, **options)})"


@compiles(lowered, "postgresql")
def _in_postgresql(element: lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f'lower(({compiler.process(element.clauses, **options)}) COLLATE "und-x-icu")'


def contains(column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """Whether a column's text contains `part`, upper and lower case being the same; NULL where the column is."""
    return lowered(column).contains(part.lower(), autoescape=True)
