"""Compare algorithms on environments, or configurations with a base."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.table import Cell, Table


def compare(
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="Split further by these keys, such as beta,m or tag.", show_default=False),
    ] = "",
    where: shared.Where = None,
    tags: shared.Tags = None,
    sweep: shared.Sweep = None,
    selection: shared.Frozen = None,
    tuning: shared.Tuning = False,
    unfinished: shared.Unfinished = False,
    measure: shared.Measure = "final",
    stat: shared.Stat = "mean",
    normalise: shared.Normalise = None,
    references: shared.References = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="One value over all environments, each of equal weight; needs --normalise.")
    ] = False,
    base: shared.Base = None,
    vary: shared.Vary = "",
    pool_over: shared.PoolOver = None,
    equivalent: shared.Equivalent = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show what changed since this frozen selection.")
    ] = None,
    allow: shared.Allow = "",
    strict: shared.Strict = False,
    resamples: shared.Resamples = 10_000,
    seed: shared.ResamplingSeed = 0,
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
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.selection import measures
    from dapo_cli.analysis.selection.selected import Choice, without_evaluations
    from store.session import Database

    keys = ("algo", *(key for key in shared.keys("--by", by) if key not in ("algo", "env")))
    request = Request(
        choice=shared.choice(where, tags, sweep, selection, tuning, unfinished),
        rows=keys,
        cols=() if pooled else ("env",),
        measure=measures.parse(measure),
        statistic=shared.statistic(stat),
        normalise=normalise,
        references=references,
        base=base,
        vary=tuple(shared.keys("--vary", vary)),
        pool_over=shared.pooled(pool_over),
        equivalent=equivalent,
        allow=tuple(shared.keys("--allow", allow)),
        strict=strict,
        resamples=resamples,
        seed=seed,
    )
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
