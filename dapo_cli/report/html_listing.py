"""Tables of text, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """Rows of a listing under a heading; `best`: the numbers of those that are bold."""

    heading: str
    rows: Sequence[tuple[str, ...]]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Listing:
    """A table of text: columns, parts, and which columns are numbers."""

    columns: tuple[str, ...]
    parts: list[Part]
    right: frozenset[str] = frozenset()
    remarks: list[str] = field(default_factory=list)  # below it

    def __bool__(self) -> bool:
        return any(part.rows for part in self.parts)
