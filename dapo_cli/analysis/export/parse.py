"""Exported tables found again in files, whatever else stands there: what they say, and how they were made.

A file is data from anywhere: nothing of it is obeyed here, and what is not understood is not found.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dapo_cli.analysis.export.writers.layout import uncomment
from dapo_cli.errors import BadInput

_BLOCK = re.compile(r"dapo table ([0-9a-f]{8}) begins\s*\n(.*?)dapo table \1 ends", re.DOTALL)
_CELL = re.compile(r"cell (\d+)\.(\d+) (\d+) ([0-9a-f]{6}-[0-9a-f]{6}) (.*)")
_LAYOUT = re.compile(r"layout: (latex|markdown|html) (grid|blocks) (\d+)")
_MULTICOLUMN = re.compile(r"\\multicolumn\{(\d+)\}\{(?:[^{}]|\{[^{}]*\})*\}\{(.*)\}", re.DOTALL)
_RULE = re.compile(r"^\s*(\\addlinespace|\\nopagebreak|\\midrule|\\cmidrule(\(lr\))?\{[\d-]+\}|\s)*")


T = TypeVar("T")


class Seen(NamedTuple):
    """A cell as a file has it. `fields`: what it says by name, "" for the only text of a cell that people read.

    `key` is the cell's, `n` its number of runs, `checksum` theirs; None where the file does not tell.
    """

    fields: Mapping[str, str]
    key: str | None = None
    n: int | None = None
    checksum: str | None = None


class Found(NamedTuple):
    """A table in a file. `cells`: the labels as they stand there -> the cell; `beside`: its other text."""

    export: str
    command: str
    cells: Mapping[str, Seen]
    beside: str


def tables_in(text: str) -> list[Found]:
    """The tables of a file in their order; none where there is none."""
    if text.startswith("key,"):
        return _from_csv(text)
    text = text.replace("\r\n", "\n")
    if text.lstrip().startswith("{"):
        return _from_json(text)
    return [found for match in _BLOCK.finditer(text) if (found := _from_block(match[1], match[2]))]


class NoTable(BadInput):
    """A file that can be read holds no table of ours."""


def tables_in_files(files: list[str]) -> tuple[list[tuple[str, Found]], list[BadInput], list[BadInput]]:
    """The tables in files, each with its file; why files have none; why files cannot be read."""
    found: list[tuple[str, Found]] = []
    passed: list[BadInput] = []
    unread: list[BadInput] = []
    for file in files:
        try:
            found += [(file, table) for table in _tables_of(file)]
        except NoTable as error:
            passed.append(error)
        except BadInput as error:
            unread.append(error)
    return found, passed, unread


def _tables_of(file: str) -> list[Found]:
    try:
        text = Path(file).read_bytes().decode("utf-8")  # a carriage return may be part of a name
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NoTable(f"{file} is no text: name a file that dapo table --out wrote") from error
    tables = tables_in(text)
    if not tables:
        raise NoTable(f"{file} has no table of dapo's: write one with dapo table --out {shlex.quote(file)}")
    return tables


def _from_block(export: str, text: str) -> Found | None:
    lines = text.split("\n")
    told: list[str] = []
    while lines and re.match(r"\s*(% )?(made by|where a number|layout|cell \d)", lines[0]):
        told.append(uncomment(lines.pop(0).strip().removeprefix("% ")))
    command = next((line.partition(": ")[2] for line in told if line.startswith("made by: ")), "")
    layout = next((match for line in told if (match := _LAYOUT.fullmatch(line))), None)
    if layout is None:
        return None
    body, (format_, shape, labelled) = "\n".join(lines), layout.groups()
    rows, beside = _READERS[format_](body, int(labelled), shape == "blocks")
    known = [match for line in told if (match := _CELL.fullmatch(line))]
    facts = dict(_numbered((match[5], (f"{export}.{match[1]}.{match[2]}", int(match[3]), match[4])) for match in known))
    cells = {}
    for labels, shown in _numbered(_cells(rows, int(labelled), shape == "blocks")):
        if labels in facts or shown:
            cells[labels] = Seen({"": shown}, *facts.get(labels, (None, None, None)))
    return Found(export, command, cells, _squeezed(beside))


def _cells(rows: list[list[str]], labelled: int, blocks: bool) -> Iterator[tuple[str, str]]:
    """(labels, text) of every cell; the first row is the head."""
    head, *body = rows or [[]]
    for row in body:
        names, cells = row[:labelled], row[labelled:]
        if blocks:
            yield " & ".join(filter(None, names)), _squeezed(" ".join(cells))
        else:
            for heading, cell in zip(head[labelled:], cells, strict=False):
                yield " & ".join([*names, heading]), _squeezed(cell)


def _markdown(body: str, labelled: int, blocks: bool) -> tuple[list[list[str]], str]:  # noqa: ARG001
    lines = [line.strip() for line in body.split("\n")]
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines if line.startswith("|")
    ]
    beside = [line for line in lines if not line.startswith(("|", "-->", "<!--"))]
    return [row for row in rows if not all(re.fullmatch(":?-+:?", cell) for cell in row)], "\n".join(beside)


def _html(body: str, labelled: int, blocks: bool) -> tuple[list[list[str]], str]:  # noqa: ARG001
    rows = [
        [cell.strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    ]
    return rows, " ".join(re.findall(r"<p>(.*?)</p>", body, re.DOTALL))


def _latex(body: str, labelled: int, blocks: bool) -> tuple[list[list[str]], str]:
    table, _, beside = body.partition(r"\bottomrule")
    heads, _, lines = table.partition(r"\toprule")[2].partition(r"\midrule")
    lines = lines.partition(r"\endhead")[2] or lines  # a longtable's: the header of its other pages stands before it
    first, *others = _tex_rows(heads)
    spans = [(int(match[1]), match[2]) if (match := _MULTICOLUMN.fullmatch(box)) else (1, box) for box in first]
    rows = [[words for _, words in spans]]
    section = ""
    for boxes in _tex_rows(lines):
        match = _MULTICOLUMN.fullmatch(boxes[0])
        if len(boxes) == 1 and match:
            section = re.sub(r"^\\emph\{(.*)\}$", r"\1", match[2])
        elif blocks:
            rows.append([section, *boxes] if section else boxes)
        else:
            rows.append([*boxes[:labelled], *_merged(boxes[labelled:], [span for span, _ in spans[labelled:]])])
    after = re.search(r"\\end\{(?:tabular|longtable)\}(.*)", beside, re.DOTALL)
    aside = after[1].rstrip("% \n") if after else ""
    return rows, "\n".join([*(" & ".join(row) for row in others), aside])


def _tex_rows(text: str) -> list[list[str]]:
    """The boxes of each row; a multicolumn is one box."""
    rows = (_RULE.sub("", row) for row in text.split(r"\\"))
    return [[box.strip() for box in re.split(r"(?<!\\)&", row)] for row in rows if row.strip()]


def _merged(boxes: list[str], spans: list[int]) -> list[str]:
    """The texts of the cells of which a row's boxes are parts; what stands once for all columns, in the first."""
    if len(boxes) == 1 and len(spans) > 1:
        match = _MULTICOLUMN.fullmatch(boxes[0])
        return [match[2] if match else boxes[0]]
    cells = []
    for span in spans:
        cells.append(" ".join(filter(None, boxes[:span])))
        boxes = boxes[span:]
    return cells


_READERS = {"markdown": _markdown, "html": _html, "latex": _latex}


def _from_csv(text: str) -> list[Found]:
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error:
        return []
    return _from_records(rows, rows[0].get("command") or "" if rows else "", "")


def _from_json(text: str) -> list[Found]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return []
    cells = table.get("cells") if isinstance(table, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        return []
    return _from_records(cells, str(table.get("command")), json.dumps(table.get("notes")))


def _from_records(records: list[dict[str, Any]], command: str, beside: str) -> list[Found]:
    """What stands between `key` and the first number are the labels."""
    cells, export = [], ""
    for record in records:
        key, sum_ = str(record.get("key")), str(record.get("checksum"))
        if not re.fullmatch(r"[0-9a-f]{8}\.\d+\.\d+", key):
            return []
        export = key.partition(".")[0]
        names = [name for name in record if name not in ("key", "checksum", "command")]
        numbers = names[next((i for i, name in enumerate(names) if name in ("n", "symbol")), 0) :]
        labels = " & ".join(_word(record[name]) for name in names if name not in numbers)
        n = _word(record.get("n"))
        cells.append(
            (labels, Seen({name: _word(record[name]) for name in numbers}, key, int(n) if n.isdigit() else None, sum_))
        )
    return [Found(export, command, dict(_numbered(cells)), beside)] if cells else []


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _numbered(pairs: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The pairs with names that occur once only: the second one of a name is `name (2)`."""
    counts: Counter[str] = Counter()
    for name, value in pairs:
        counts[name] += 1
        yield name if counts[name] == 1 else f"{name} ({counts[name]})", value


def _squeezed(text: str) -> str:
    return " ".join(text.split())
