"""Reading files that nobody vouches for: bounded, as UTF-8, and with the file and line in every complaint."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from dapo_cli.errors import BadInput

LARGEST_TEXT = 4 << 30  # bytes of a file
LONGEST_LINE = 1 << 20  # bytes; a longer line is no line of a log
LARGEST_NUMBER = 2**53  # beyond it, a float no longer tells neighbours apart
MOST_COLUMNS = 2000
LARGEST_ARRAYS = 1 << 27  # bytes of all arrays of a file together: some million episodes of evaluations

csv.field_size_limit(LONGEST_LINE)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system refuses on the file into BadInput."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}: check the path and its permissions") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined(files: Iterable[str]) -> str:
    """One SHA-256 for several files, from theirs and regardless of order and names."""
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()


def lines(path: Path) -> Generator[str]:
    """The lines of a text file with their ends; raises BadInput for one that is too long or not text."""
    with readable(path), path.open("rb") as file:
        if path.stat().st_size > LARGEST_TEXT:
            raise BadInput(f"{path} has more than {LARGEST_TEXT >> 30} GiB: split it")
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE or b"\0" in line:
                raise BadInput(f"{path}, line {number}: that is no text: name a log, or choose --format")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise BadInput(f"{path}, line {number}: that is not UTF-8 text: convert the file") from error


def table(
    path: Path, text: Iterator[str], *, delimiter: str = ",", first_line: int = 1
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table with a header: ("file, line N", column -> text). Empty lines are passed over.

    `text` are its lines, the first of which is line `first_line` of the file. Raises BadInput for a header that is
    missing or has a name twice, and for a row of another number of fields, such as one that a full disk cut off.
    """
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            place = f"{path}, line {reader.line_num + first_line - 1}"
            raise BadInput(f"{place}: that is no table ({error}): correct the file") from error
        if row is None:
            break
        if not row:
            continue
        place = f"{path}, line {reader.line_num + first_line - 1}"
        if names is None:
            names = [name.strip() for name in row]
            for separator, called in ((";", "semicolons"), ("\t", "tabs")):
                if len(names) == 1 and delimiter == "," and separator in row[0]:
                    raise BadInput(f"{place}: its columns are separated by {called}: save the table with commas")
            twice = [name for name, count in Counter(names).items() if name and count > 1]  # an index has no name
            if twice or len(names) > MOST_COLUMNS:
                what = f"the column '{twice[0][:40]}' twice" if twice else f"more than {MOST_COLUMNS} columns"
                raise BadInput(f"{place}: the header names {what}: correct the file")
        elif len(row) != len(names):
            raise BadInput(f"{place}: {len(row)} fields instead of {len(names)}: correct or remove that line")
        else:
            yield place, dict(zip(names, row, strict=True))
    if names is None:
        raise BadInput(f"{path} is empty: name another file")


class LeftOut:
    """What stands in columns of numbers and is none, to be said in one line."""

    def __init__(self) -> None:
        self.cells: Counter[str] = Counter()

    def number(self, name: str, text: str) -> float | None:
        """The number, or None for what is left out."""
        try:
            if "_" not in text:
                return float(text)
        except ValueError:
            pass
        self.cells[name] += 1
        return None

    def remark(self) -> list[str]:
        """One line, or none."""
        named = [f"{name[:40]} ({n} {'row' if n == 1 else 'rows'})" for name, n in self.cells.items()]
        more = f" and {len(named) - 8} more columns" if len(named) > 8 else ""
        return [f"left out, as they are no numbers: {', '.join(named[:8])}{more}"] if named else []


def column(place: str, row: dict[str, str], name: str) -> str:
    """The text of a column; raises BadInput where the table has none of that name."""
    if name not in row:
        alike = next((other for other in row if other.casefold() == name.casefold()), None)
        if alike is not None:
            raise BadInput(f"{place}: no column '{name}', but '{alike}': add --column {name}={quote(alike)}")
        raise BadInput(f"{place}: no column '{name}', only {', '.join(list(row)[:12])}: is that the right --format?")
    return row[name]


def number(place: str, name: str, text: str) -> float:
    """A number, `nan` and `inf` included; raises BadInput for anything else."""
    try:
        if "_" in text:
            raise ValueError
        return float(text)
    except ValueError as error:
        raise BadInput(f"{place}: {name} is '{text[:40]}', not a number: correct or remove that line") from error


def seconds(place: str, name: str, text: str) -> float:
    """A finite number of seconds; raises BadInput for anything else."""
    value = number(place, name, text)
    if not abs(value) < 1e15:
        raise BadInput(f"{place}: {name} is '{text[:40]}', no time in seconds: correct or remove that line")
    return value


def whole(place: str, name: str, text: str) -> int:
    """A whole number from 0 to below LARGEST_NUMBER; `1e6` and `200.0` are some. Raises BadInput for anything else."""
    value = number(place, name, text)
    if not (0 <= value < LARGEST_NUMBER and value.is_integer()):
        raise BadInput(f"{place}: {name} is '{text[:40]}', not a whole number below 2^53: correct or remove that line")
    return int(value)


def length(place: str, name: str, text: str) -> int:
    """An episode's length, a mean over episodes rounded; 0, which is not known, for nothing and NaN."""
    value = number(place, name, text or "nan")
    if math.isnan(value):
        return 0
    if not 0 <= value <= LARGEST_NUMBER:
        raise BadInput(f"{place}: {name} is '{text[:40]}', no length of an episode: correct or remove that line")
    return round(value)


def json_object(place: str, text: str) -> dict[str, Any]:
    """A JSON object; raises BadInput for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput(f"{place}: a JSON object is expected there: correct the file")
    return value


def as_seed(value: object) -> int | None:
    """A seed as a file names it, or None for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < sys.maxsize else None
