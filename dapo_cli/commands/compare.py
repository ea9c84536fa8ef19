"""Compare algorithms on environments, or configurations with a base."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import request_options, shared
from dapo_cli.options.request_options import Differences, Rigour, Scores
from dapo_cli.options.run_options import ChosenRuns
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.table import Cell, Table


def compare(
    *,
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="Split further by these keys, such as beta,m or tag.", show_default=False),
    ] = "",
    runs: ChosenRuns,
    scores: Scores,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="One value over all environments, each of equal weight; needs --normalise.")
    ] = False,
    differences: Differences,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show what changed since this frozen selection.")
    ] = None,
    rigour: Rigour,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Compare algorithms on environments, or configurations with a base.

    Every row gives the number n of runs, the statistic of their scores, and its 95 % interval (from three runs on).
    Bold is what is not distinguishable from the best on its environment: from five runs on, at 5 % after Holm's
    correction. Runs that are left out are counted; runs that must not be compared are refused.

    An ablation: --base "algo = 'dapo-kl'" --vary beta,m names each configuration by what it changes in the base.
    """
    from dapo_cli.analysis.comparison import build, changes
    from dapo_cli.analysis.selection.selected import Choice, without_evaluations
    from store.session import Database

    shape = {"rows": request_options.rows(by), "cols": () if pooled else ("env",)}
    request = request_options.request(runs, scores, differences, rigour, **shape)
    with Database.read(database_location(db)) as database:
        table = build.build(database, request)
        changed = None
        if against:
            table, changed = changes.between(database, table, against)
    if json:
        console.print_json(table.records() if changed is None else [change.record() for change in changed])
    elif changed is not None:
        changes.print_changes(table, changed)
    elif table.cells:
        _print(table)
    else:
        everything = request.choice == Choice()
        console.info(f"no completed run in {database.location} yet" if everything else "no completed run matches")
    for note in table.notes:
        console.info(note)
    if not table.counts and (advice := without_evaluations(table.notes)):
        console.info(advice)


def _print(table: Table) -> None:
    from dapo_cli.analysis.comparison import cell_text
    from dapo_cli.analysis.export import captions
    from dapo_cli.analysis.selection.labels import key_text

    table = cell_text.in_blocks(table)
    name = table.request.statistic
    columns: dict[str, Callable[[Cell], str]] = {
        "n": lambda cell: str(cell.estimate.n),
        name: lambda cell: cell_text.value_text(table, cell) + " *" * cell.best,
    }
    if name == "mean":
        columns["± std"] = lambda cell: cell_text.spread_text(table, cell)
    columns["95 % interval"] = lambda cell: cell_text.interval_text(table, cell.estimate)
    if table.base is not None:
        columns["Δ"] = lambda cell: cell_text.difference_text(table, cell)
    if any(not math.isnan(cell.p) for cell in table.cells.values()):
        columns["p"] = lambda cell: cell_text.p_text(cell.p)
    if table.request.equivalent:
        columns["verdict"] = lambda cell: cell.verdict
    if table.footnotes:
        columns["notes"] = cell_text.mark_text
    rows: list[list[console.Cell]] = []
    for col, row in product(table.col_labels, table.row_labels):
        cell = table.at(row, col)
        if cell is not None:
            texts = [*map(key_text, (*col, *row)), *(text(cell) for text in columns.values())]
            rows.append([(text, "bold") for text in texts] if cell.best else list(texts))
    right = [column for column in columns if column not in ("notes", "verdict")]
    keys = (*table.cols, *table.rows)
    console.print_table((*keys, *columns), rows, right=right, whole=("verdict",), keys=keys)
    console.info(captions.caption(table, best="*"))
    for line in cell_text.footnotes(table):
        console.info(line)
