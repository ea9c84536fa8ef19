"""What the formats for reading share: the order of a table's lines, and the comments that make it traceable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dapo_cli.analysis.export.sheets import Sheet

_ESCAPED = re.compile(r"\\(\\|u[0-9a-f]{4}|U[0-9a-f]{8})")


class Line(NamedTuple):
    """A row of the page. `section`: the heading over it; `cells`: their places, None where there is no cell."""

    section: str
    labels: tuple[str, ...]
    cells: list[tuple[int, int] | None]


def lines(sheet: Sheet, *, blocks: bool) -> Iterator[Line]:
    """The lines in the order in which they are read: one a row, or, with blocks, one a cell, column by column."""
    if blocks:
        for c, heading in enumerate(sheet.cols, 1):
            for r, labels in enumerate(sheet.rows, 1):
                if (r, c) in sheet.entries:
                    own = heading if sheet.over else ""
                    yield Line(sheet.sections.get(1, "") if sheet.entries[r, c].spans else own, labels, [(r, c)])
    else:
        section = ""
        for r, labels in enumerate(sheet.rows, 1):
            section = sheet.sections.get(r, section)
            spans = (r, 1) in sheet.entries and sheet.entries[r, 1].spans
            places = [(r, c) for c in range(1, 2 if spans else len(sheet.cols) + 1)]
            yield Line(section, labels, [at if at in sheet.entries else None for at in places])


def head(sheet: Sheet, format_: str, escape: Callable[[str], str], *, blocks: bool) -> list[str]:
    """The lines of the comment before a table: `verification.read` finds it by them, and people its origin.

    A line for each cell: its place, its number of runs, its checksum and its labels as they stand in the table.
    """
    labelled = len(sheet.headings) + (blocks and bool(sheet.over))
    texts = [
        f"dapo table {sheet.export} begins",
        f"made by: {sheet.command}",
        f"where a number comes from: dapo why {sheet.export}.ROW.COLUMN",
        f"layout: {format_} {'blocks' if blocks else 'grid'} {labelled}",
    ]
    for line in lines(sheet, blocks=blocks):
        for at in line.cells:
            if at is not None:
                entry = sheet.entries[at]
                names = (line.section, *line.labels) if blocks else (*line.labels, sheet.cols[at[1] - 1])
                told = " & ".join(escape(name) for name in names if name or not blocks)
                texts.append(f"cell {at[0]}.{at[1]} {entry.n} {entry.checksum} {told}")
    return [comment(text) for text in texts]


def tail(sheet: Sheet) -> str:
    """The comment after a table."""
    return f"dapo table {sheet.export} ends"


def comment(text: str) -> str:
    """`text` as it can stand in one line of a comment of any format; `uncomment` gives it back."""
    text = "".join(_escape(c) if not c.isprintable() else c for c in text.replace("\\", "\\\\"))
    return re.sub(r"(--!?)>", r"\1\\u003e", text)


def uncomment(text: str) -> str:
    """What `comment` was given."""
    return _ESCAPED.sub(lambda match: "\\" if match[1] == "\\" else chr(int(match[1][1:], 16)), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
