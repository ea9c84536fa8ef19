"""Everything that reaches the screen: data on standard output, all else on standard error.

Text from a database may come from anywhere, so `visible` shows its control characters instead of obeying them, and no
text is ever read as Rich markup.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

Cell = str | tuple[str, str]
"""The text of a table cell, or the text and a Rich style."""

STATUS_STYLES = {
    "queued": "dim",
    "running": "cyan",
    "interrupted": "yellow",
    "completed": "green",
    "diverged": "red",
    "failed": "red",
}

_UNLIMITED_WIDTH = 10_000
_verbosity = 0


def set_verbosity(level: int) -> None:
    """Choose how much goes to standard error: -1 warnings and errors only, 0 notices too, 1 details too."""
    global _verbosity
    _verbosity = level


def verbosity() -> int:
    """-1 (--quiet), 0 or 1 (--verbose)."""
    return _verbosity


def out() -> Console:
    """A Rich console on standard output; as wide as its contents when that is not a terminal."""
    return _console(stderr=False)


def err() -> Console:
    """A Rich console on standard error, for live displays."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    console.on_broken_pipe = _raise_on  # type: ignore[method-assign]  # Rich would end the process with code 1
    if not console.is_terminal:
        console.width = _UNLIMITED_WIDTH
    return console


def _raise_on() -> None:
    raise  # called while a BrokenPipeError is handled


def detail(message: str) -> None:
    """Lines on standard error for those who asked for --verbose."""
    if _verbosity > 0:
        for line in message.splitlines():
            _to_stderr(line)


def info(message: str) -> None:
    """A notice on standard error, silenced by --quiet."""
    if _verbosity >= 0:
        _to_stderr(message)


def warning(message: str) -> None:
    """A line `dapo: warning: …` on standard error."""
    _to_stderr(f"dapo: warning: {message}")


def error(message: str) -> None:
    """A line `dapo: …` on standard error; always exactly one, which a terminal folds."""
    _to_stderr(f"dapo: {' '.join(message.split())}")


def _to_stderr(message: str) -> None:
    from dapo_cli.terminal import notices

    text = notices.typeable(visible(message))
    with suppress(OSError, ValueError):  # a notice that nobody can read any more ends nothing
        width = notices.width_of(sys.stderr)
        sys.stderr.write((notices.folded(text, width) if width else text) + "\n")
        sys.stderr.flush()


def write(text: str) -> None:
    """Data on standard output as it stands, with a final newline."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def visible(text: str) -> str:
    """`text` with its control, formatting and undecodable characters written out, e.g. an escape as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def print_json(value: Any) -> None:
    """One JSON array or object on standard output; a number that is not finite becomes null."""
    write(json_text(value))


def json_text(value: Any) -> str:
    """`value` as JSON, numbers that are not finite as null, everything but ASCII escaped."""
    return json.dumps(_plain(value), indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    right: Collection[str] = (),
    whole: Collection[str] = (),
    keys: Collection[str] = (),
    droppable: Sequence[str] = (),
) -> None:
    """A table on standard output. Columns named in `right` are right-aligned; these and those in `whole` never fold.

    On a terminal that is too narrow the columns in `droppable` go first, in that order, and a notice names them; then
    texts fold; then there are several tables, each with the columns in `keys`, which name the rows; then every row is a
    list. Elsewhere nothing goes, nothing folds and nothing is coloured.
    """
    from dapo_cli.terminal import fitting

    cells = [[_text(cell) for cell in row] for row in rows]
    titles = [_text(header) for header in headers]

    def places(names: Iterable[str]) -> list[int]:
        return [index for name in names for index, header in enumerate(headers) if header == name]

    numbers = places(right)
    setting = fitting.arrange(
        [[cell.plain for cell in row] for row in (titles, *cells)],
        out().width,
        whole={*numbers, *places(whole)},
        keys=places(keys),
        droppable=places(droppable),
    )
    for number, columns in enumerate(setting.tables):
        if number:
            write("")
        own = [index for index, _ in columns if headers[index] not in keys]
        told = [row for row in cells if number == 0 or any(row[index].plain for index in own)]
        render(_grid([titles, *told], columns, numbers))
    longest = max(title.cell_len for title in titles)
    for number, row in enumerate([] if setting.tables else cells):
        if number:
            write("")
        shown = [index for index in range(len(titles)) if index not in setting.dropped and row[index].plain]
        _print_pairs([(titles[index], row[index]) for index in shown], longest)
    if setting.dropped:
        gone = ", ".join(titles[index].plain for index in setting.dropped)
        info(f"no room for {gone}: a wider terminal shows all columns, and so does a pipe")


def _grid(rows: Sequence[Sequence[Text]], columns: Sequence[tuple[int, int]], right: Collection[int]) -> Table:
    """A Rich table of these columns, each an index and a width; the first row is the header."""
    from rich import box
    from rich.table import Table

    from dapo_cli.terminal import fitting

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, fitting.GAP - 1, 0, 0),
        header_style="bold",
        border_style="dim",
    )
    header, *body = [[fitting.folded(row[index], width) for index, width in columns] for row in rows]
    for title, (index, width) in zip(header, columns, strict=True):
        table.add_column(title, justify="right" if index in right else "left", width=width, overflow="fold")
    for row in body:
        table.add_row(*row)
    return table


def print_fields(fields: Mapping[str, Cell], *, indent: int = 2) -> None:
    """Names and values, one pair a line, the values aligned."""
    _print_pairs([(_text(" " * indent + name), _text(value)) for name, value in fields.items()])


def _print_pairs(pairs: Iterable[tuple[Text, Text]], width: int = 0) -> None:
    """The same; the names as wide as `width` at least."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim", min_width=width)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, value)
    render(grid, at_least=width + 20)


def print_heading(text: str) -> None:
    """A heading over a table or a list of fields, after a blank line."""
    write("")
    render(_text((text, "bold")))


def render(renderable: RenderableType, *, at_least: int = 0) -> None:
    """Any Rich renderable on standard output, without trailing blanks; a terminal narrower than `at_least` wraps it."""
    console = out()
    width = console.width
    console.width = max(width, at_least)
    with console.capture() as capture:
        console.print(renderable)
    console.width = width  # the next table is for the terminal again
    write("\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n")))


def _text(cell: Cell) -> Text:
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(visible(text), style=style)
