"""Compare algorithms on environments, or configurations with a base."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli import console, options
from dapo_cli.project_file import database_location

if TYPE_CHECKING:
    from dapo_cli.analysis.tables import Cell, Table


def compare(
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="Split further by these keys, such as beta,m or tag.", show_default=False),
    ] = "",
    where: options.Where = None,
    tags: options.Tags = None,
    sweep: options.Sweep = None,
    selection: options.Frozen = None,
    tuning: options.Tuning = False,
    unfinished: options.Unfinished = False,
    measure: options.Measure = "final",
    stat: options.Stat = "mean",
    normalise: options.Normalise = None,
    references: options.References = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="One value over all environments, each of equal weight; needs --normalise.")
    ] = False,
    base: options.Base = None,
    vary: options.Vary = "",
    pool_over: options.PoolOver = None,
    equivalent: options.Equivalent = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show what changed since this frozen selection.")
    ] = None,
    allow: options.Allow = "",
    strict: options.Strict = False,
    resamples: options.Resamples = 10_000,
    seed: options.ResamplingSeed = 0,
    db: options.Db = None,
    json: options.Json = False,
) -> None:
    """Compare algorithms on environments, or configurations with a base.

    Every row gives the number n of runs, the statistic of their scores, and its 95 % interval (from three runs on).
    Bold is what is not distinguishable from the best on its environment: from five runs on, at 5 % after Holm's
    correction. Runs that are left out are counted; runs that must not be compared are refused.

    An ablation: --base "algo = 'dapo-kl'" --vary beta,m names each configuration by what it changes in the base.
    """
    from dapo_cli.analysis import changes, measures, tables
    from dapo_cli.analysis.requests import Request
    from dapo_cli.analysis.selection import Choice, without_evaluations
    from store.session import Database

    keys = ("algo", *(key for key in options.keys("--by", by) if key not in ("algo", "env")))
    request = Request(
        choice=options.choice(where, tags, sweep, selection, tuning, unfinished),
        rows=keys,
        cols=() if pooled else ("env",),
        measure=measures.parse(measure),
        statistic=options.statistic(stat),
        normalise=normalise,
        references=references,
        base=base,
        vary=tuple(options.keys("--vary", vary)),
        pool_over=options.pooled(pool_over),
        equivalent=equivalent,
        allow=tuple(options.keys("--allow", allow)),
        strict=strict,
        resamples=resamples,
        seed=seed,
    )
    with Database.read(database_location(db)) as database:
        table = tables.build(database, request)
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
    from dapo_cli.analysis import captions, wording
    from dapo_cli.analysis.labels import key_text

    table = wording.in_blocks(table)
    name = table.request.statistic
    columns: dict[str, Callable[[Cell], str]] = {
        "n": lambda cell: str(cell.estimate.n),
        name: lambda cell: wording.value_text(table, cell) + " *" * cell.best,
    }
    if name == "mean":
        columns["± std"] = lambda cell: wording.spread_text(table, cell)
    columns["95 % interval"] = lambda cell: wording.interval_text(table, cell.estimate)
    if table.base is not None:
        columns["Δ"] = lambda cell: wording.difference_text(table, cell)
    if any(not math.isnan(cell.p) for cell in table.cells.values()):
        columns["p"] = lambda cell: wording.p_text(cell.p)
    if table.request.equivalent:
        columns["verdict"] = lambda cell: cell.verdict
    if table.footnotes:
        columns["notes"] = wording.mark_text
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
    for line in wording.footnotes(table):
        console.info(line)
