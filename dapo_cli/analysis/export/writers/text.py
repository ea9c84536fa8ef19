"""A sheet as Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable

from dapo_cli.analysis.export.sheets import Entry, Sheet
from dapo_cli.analysis.export.writers.layout import head, lines, tail

Escape = Callable[[str], str]


def markdown(sheet: Sheet) -> str:
    """A pipe table with its footnotes, between comments that make it traceable, and its caption below."""
    first = _header(sheet)
    rows = [[*map(_pipe, first)], [":---"] * _labelled(sheet) + ["---:"] * (len(first) - _labelled(sheet))]
    section = ""
    for line in lines(sheet, blocks=sheet.blocks):
        if line.section != section and not sheet.blocks:
            rows.append([f"*{_pipe(line.section)}*", *[""] * (len(first) - 1)])
        section = line.section
        labels = [section] * _names_columns(sheet) + list(line.labels)
        cells = [text for at in line.cells for text in _cell(sheet, at, _pipe, "**", "**")]
        rows.append([*map(_pipe, labels), *(cells + [""] * len(first))[: len(first) - len(labels)]])
    body = [f"| {' | '.join(row)} |" for row in rows]
    begins = ["<!--", *head(sheet, "markdown", _pipe, blocks=sheet.blocks), "-->"]
    below = [line for text in sheet.below for line in ("", _pipe(text))]
    return "\n".join([*begins, *body, *below, f"<!-- {tail(sheet)} -->", "", _pipe(sheet.caption)]) + "\n"


def html_table(sheet: Sheet) -> str:
    """A `<figure>` with a `<table>`, in which `data-key` is the key of a cell, its footnotes and its caption."""
    escape = html.escape
    first = _header(sheet)
    body = []
    section = ""
    for line in lines(sheet, blocks=sheet.blocks):
        if line.section != section and not sheet.blocks:
            body.append(f'<tr><th colspan="{len(first)}" scope="rowgroup">{escape(line.section)}</th></tr>')
        section = line.section
        labels = [section] * _names_columns(sheet) + list(line.labels)
        cells = "".join(_html_cell(sheet, at, len(first) - len(labels)) for at in line.cells)
        heads = "".join(f'<th scope="row">{escape(label)}</th>' for label in labels)
        body.append(f"<tr>{heads}{cells}</tr>")
    headings = "".join(f'<th scope="col">{escape(text)}</th>' for text in first)
    return (
        "\n".join(
            [
                "<figure>",
                "<!--",
                *head(sheet, "html", escape, blocks=sheet.blocks),
                "-->",
                "<table>",
                f"<thead>\n<tr>{headings}</tr>\n</thead>",
                "<tbody>",
                *body,
                "</tbody>",
                "</table>",
                *(f"<p>{escape(text)}</p>" for text in sheet.below),
                f"<!-- {tail(sheet)} -->",
                f"<figcaption>{escape(sheet.caption)}</figcaption>",
                "</figure>",
            ]
        )
        + "\n"
    )


def _header(sheet: Sheet) -> list[str]:
    if not sheet.blocks:
        return [*sheet.headings, *sheet.cols]
    titles = ["notes" if part.kind == "marks" else part.title for part in sheet.parts]
    return [*[sheet.over] * _names_columns(sheet), *sheet.headings, *titles]


def _names_columns(sheet: Sheet) -> bool:
    """Whether a line begins with the heading of the column that its cell is from."""
    return sheet.blocks and bool(sheet.over)


def _labelled(sheet: Sheet) -> int:
    return len(sheet.headings) + _names_columns(sheet)


def _cell(sheet: Sheet, at: tuple[int, int] | None, escape: Escape, bold: str, end: str) -> list[str]:
    """The texts of a cell: one, or with blocks one for each part."""
    if at is None:
        return ["–"]
    entry = sheet.entries[at]
    texts = [
        f"<sup>{escape(text)}</sup>"
        if part.kind == "marks" and text
        else text
        if part.kind == "spread"
        else escape(text)
        for part, text in zip(sheet.parts, entry.texts, strict=True)
    ]
    if entry.bold:
        texts[0] = f"{bold}{texts[0]}{end}"
    return texts if sheet.blocks else [_joined(sheet, entry, texts)]


def _joined(sheet: Sheet, entry: Entry, texts: list[str]) -> str:
    told = [
        f"({text})" if part.name == "n" else text
        for part, text in zip(sheet.parts, texts, strict=True)
        if text and part.kind != "marks" and not (part.name == "n" and entry.n == 0)
    ]
    marks = texts[-1] if sheet.parts[-1].kind == "marks" else ""
    return " ".join(told) + marks


def _html_cell(sheet: Sheet, at: tuple[int, int] | None, columns: int) -> str:
    if at is None:
        return "<td>–</td>"
    entry = sheet.entries[at]
    span = f' colspan="{columns}"' if entry.spans else ""
    texts = _cell(sheet, at, html.escape, "<strong>", "</strong>")
    return "".join(f'<td data-key="{sheet.key(*at)}"{span}>{text}</td>' for text in texts)


def _pipe(text: str) -> str:
    """Text inside a Markdown table, nothing of it read as Markdown or HTML."""
    for character in "\\`*_|~#$":
        text = text.replace(character, f"\\{character}")
    return html.escape(text, quote=False).replace("[", "&#91;")  # as `\[` begins a formula for some readers
