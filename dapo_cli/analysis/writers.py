"""A table of final returns as LaTeX, CSV, Markdown, HTML or JSON. The same table gives the same bytes."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dapo_cli.analysis.statistics import Summary
from dapo_cli.analysis.tables import Label, Table, cell_text, key_text, label_text
from dapo_cli.console import json_text, visible
from dapo_cli.files import write_files

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex(table: Table) -> str:
    """A `tabular` in the style of booktabs, with its caption and notes as comments."""
    header, body = _grid(table, _latex_cell(table), _latex_text)
    lines = [f"% {line}" for line in _explanation(table)]
    lines.append(f"\\begin{{tabular}}{{{'l' * len(table.rows)}{'r' * len(table.col_labels)}}}")
    lines += [r"\toprule", _latex_row(header), r"\midrule", *map(_latex_row, body), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def markdown(table: Table) -> str:
    """A pipe table, and its caption below."""
    header, body = _grid(table, _text_cell(table), lambda text: text.replace("\\", "\\\\").replace("|", "\\|"))
    rules = [":---"] * len(table.rows) + ["---:"] * len(table.col_labels)
    lines = [f"| {' | '.join(row)} |" for row in (header, rules, *body)]
    return "\n".join([*lines, "", *_explanation(table)]) + "\n"


def html_table(table: Table) -> str:
    """A `<table>` with its caption."""
    header, body = _grid(table, _text_cell(table), html.escape)
    width = len(table.rows)
    lines = ["<table>", f"<caption>{html.escape(' '.join(_explanation(table)))}</caption>", "<thead>"]
    lines += [f"<tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr>", "</thead>", "<tbody>"]
    for row in body:
        labels = "".join(f"<th>{cell}</th>" for cell in row[:width])
        lines.append(f"<tr>{labels}{''.join(f'<td>{cell}</td>' for cell in row[width:])}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"


def csv_text(table: Table) -> str:
    """One line a cell: its keys, n, mean, std, low, high in full precision; empty where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.rows, *table.cols, *Summary._fields])
    for record in table.records():
        writer.writerow([_csv_value(value) for value in record.values()])
    return text.getvalue()


def json_table(table: Table) -> str:
    """An array with one object a cell."""
    return json_text(table.records()) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "latex": latex,
    "csv": csv_text,
    "markdown": markdown,
    "html": html_table,
    "json": json_table,
}


def write_aside(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all; raises BadInput where that is impossible."""
    write_files({path: text.encode("utf-8")})


def _grid(
    table: Table, cell: Callable[[Summary], str], escape: Callable[[str], str]
) -> tuple[list[str], list[list[str]]]:
    def labels(keys: tuple[str, ...], label: Label) -> list[str]:
        return [visible(label_text(key, value)) for key, value in zip(keys, label, strict=True)]

    header = [*table.rows, *(", ".join(labels(table.cols, label)) for label in table.col_labels)]
    body = []
    for row in table.row_labels:
        summaries = [table.cells.get((row, col)) for col in table.col_labels]
        body.append(
            [
                *(escape(visible(key_text(value))) for value in row),
                *(escape("–") if summary is None else cell(summary) for summary in summaries),
            ]
        )
    return [escape(visible(text)) for text in header], body


def _text_cell(table: Table) -> Callable[[Summary], str]:
    return lambda summary: cell_text(summary) + _count(table, summary)


def _latex_cell(table: Table) -> Callable[[Summary], str]:
    def cell(summary: Summary) -> str:
        number = cell_text(summary).replace("±", r"\pm")
        return (f"${number}$" if math.isfinite(summary.mean) else number) + _count(table, summary)

    return cell


def _count(table: Table, summary: Summary) -> str:
    return "" if len(_counts(table)) == 1 else f" ({summary.n})"


def _counts(table: Table) -> set[int]:
    return {summary.n for summary in table.cells.values()}


def _explanation(table: Table) -> list[str]:
    counts = _counts(table)
    if counts == {1}:
        caption = "Final return, one run per cell."
    elif len(counts) == 1:
        caption = f"Final return: mean ± standard deviation over n = {counts.pop()} runs per cell."
    else:
        caption = "Final return: mean ± standard deviation over runs, their number n in parentheses."
    return [caption, *(f"Note: {note}." for note in table.notes())]


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    return "" if isinstance(value, float) and not math.isfinite(value) else value
