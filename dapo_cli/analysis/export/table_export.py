"""A table made whole: selected, computed, written as text, and what is behind every cell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.table import Table
from dapo_cli.analysis.export import cell_keys, sheets
from dapo_cli.analysis.export.sheets import Sheet, Style
from dapo_cli.analysis.export.writers import FORMATS
from dapo_cli.analysis.selection.selected import SEE_RUNS, without_evaluations
from dapo_cli.errors import BadInput

if TYPE_CHECKING:
    from store.session import Database


class Export(NamedTuple):
    """`text` is the file's content; `definition` what is to be known of it later, as JSON takes it."""

    table: Table
    sheet: Sheet
    text: str
    definition: dict[str, Any]


def make(database: Database, request: Request, style: Style) -> Export:
    """The table that a request and a style ask for; raises BadInput, also where no run counts, and StoreError."""
    table = build.build(database, request)
    if not table.counts:
        told = "".join(f" ({note})" for note in table.notes)
        raise BadInput(f"no run to tabulate{told}: {without_evaluations(table.notes) or SEE_RUNS}")
    if style.hyperparameters:
        from dapo_cli.analysis.export.hyperparameter_table import hyperparameter_sheet

        sheet = hyperparameter_sheet(database, table, style)
    else:
        sheet = sheets.results(table, style)
    what = "hyperparameters" if style.hyperparameters else "results"
    definition = cell_keys.definition(request, what, table.notes, sheet.behind)
    return Export(table, sheet, FORMATS[style.format](sheet), definition)
