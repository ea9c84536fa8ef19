"""How a table is set in a terminal of so many columns: what the reader came for is folded or moved, and never cut.

The steps, each taken only if the one before it was not enough: columns of little value go; texts fold, at blanks and
hyphens; the columns are set as several tables one below the other, each with the columns that name its rows; every row
is set as a list of names and values.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

GAP = 2  # blanks between columns
_READABLE = 12  # characters below which no text is folded
_UNBROKEN = 24  # a longer word may be broken anywhere

Column = tuple[int, int]
"""Its index and its width."""


class Setting(NamedTuple):
    """The columns of each table, and those that went. No table: every row is to be set as a list."""

    tables: list[list[Column]]
    dropped: list[int]


def arrange(
    texts: Sequence[Sequence[str]],
    width: int,
    *,
    whole: Collection[int] = (),
    keys: Collection[int] = (),
    droppable: Sequence[int] = (),
) -> Setting:
    """Where the columns of `texts`, whose first row is the header, go in `width` characters.

    `whole`: do not fold but in the header; `keys`: name the rows; `droppable`: may go, in this order.
    """
    columns = list(zip(*texts, strict=True))
    natural = [max(map(cell_len, column)) for column in columns]
    least = [
        max(_longest_word(column[0]), *map(cell_len, column[1:]), 0)
        if index in whole
        else min(natural[index], max(_READABLE, *map(_longest_word, column)))
        for index, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    dropped: list[int] = []
    for index in droppable:
        if _span([natural[other] for other in shown]) > width:
            shown.remove(index)
            dropped.append(index)

    def fitted(indices: Sequence[int]) -> list[Column] | None:
        return _narrowed(indices, natural, least, width)

    if (table := fitted(shown)) is not None:
        return Setting([table], dropped)
    named = [index for index in shown if index in keys]
    several = _several([index for index in shown if index not in keys], named, natural, width, fitted) if named else []
    return Setting(several, dropped)


def folded(text: Text, width: int) -> Text:
    """`text` on as many lines as it takes, broken at blanks and hyphens; a longer word anywhere."""
    if cell_len(text.plain) <= width:
        return text
    return Text("\n".join(textwrap.wrap(text.plain, width)), style=text.style)


def _several(
    others: Sequence[int],
    named: Sequence[int],
    natural: Sequence[int],
    width: int,
    fitted: Callable[[Sequence[int]], list[Column] | None],
) -> list[list[Column]]:
    """Tables that hold the columns in their order, as many in each as fit unfolded; none if one column is too much."""
    groups: list[list[int]] = []
    for index in others:
        if groups and _span([natural[other] for other in (*named, *groups[-1], index)]) <= width:
            groups[-1].append(index)
        else:
            groups.append([index])
    tables = [fitted([*named, *group]) for group in groups]
    return [table for table in tables if table] if all(tables) else []


def _narrowed(indices: Sequence[int], natural: Sequence[int], least: Sequence[int], width: int) -> list[Column] | None:
    """Widths that fit, every column that can fold as wide as the others at most; None if there are none."""
    for most in range(width, -1, -1):
        widths = [min(natural[index], max(least[index], most)) for index in indices]
        if _span(widths) <= width:
            return list(zip(indices, widths, strict=True))
    return None


def _span(widths: Collection[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _longest_word(text: str) -> int:
    words = textwrap.wrap(text, 1, break_long_words=False)
    return min(max(map(cell_len, words), default=0), _UNBROKEN)
