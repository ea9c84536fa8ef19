"""Sheets as LaTeX, Markdown, HTML, CSV and JSON. The same sheet gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable

from dapo_cli.analysis.export.sheets import Sheet
from dapo_cli.analysis.export.writers.data import csv_text, json_table
from dapo_cli.analysis.export.writers.latex import latex
from dapo_cli.analysis.export.writers.text import html_table, markdown

FORMATS: dict[str, Callable[[Sheet], str]] = {
    "latex": latex,
    "csv": csv_text,
    "markdown": markdown,
    "html": html_table,
    "json": json_table,
}
