"""How many seeds a comparison needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import request_options, shared
from dapo_cli.options.run_options import FinishedRuns
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Margin
    from dapo_cli.analysis.comparison.table import Table


def power(
    *,
    base: Annotated[str, typer.Option(metavar="FILTER", help="The runs to separate from, such as \"algo = 'sac'\".")],
    difference: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="The smallest difference that matters: 20% of the base's return, or a number."
        ),
    ] = None,
    width: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Also the seeds for a 95 % interval this wide: 20%, or a number.")
    ] = None,
    wanted: Annotated[
        float, typer.Option("--power", metavar="P", help="Probability of finding a difference that is there.")
    ] = 0.8,
    by: Annotated[str, typer.Option(metavar="KEYS", help="Split further by these keys.", show_default=False)] = "",
    runs: FinishedRuns,
    measure: request_options.Measure = "final",
    references: request_options.References = None,
    pool_over: request_options.PoolOver = None,
    allow: request_options.Allow = "",
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """How many seeds a comparison needs, from the spread of the runs so far.

    For every algorithm and environment: the number n of seeds on each side with which Welch's t test at 5 % finds a
    difference from --base with probability --power. The difference is the one observed so far, or --difference. Percent
    are of the base's mean return above a random policy's. A spread estimated from few runs is itself uncertain.
    """
    from dapo_cli.analysis.comparison import build, testing
    from dapo_cli.analysis.selection.selected import without_evaluations
    from store.session import Database

    if not 0 < wanted < 1:
        raise BadInput(f"--power: {wanted:g} is no probability: give one between 0 and 1, such as 0.8")
    request = request_options.request(
        runs,
        rows=request_options.rows(by),
        measure=measure,
        references=references,
        base=base,
        pool_over=pool_over,
        allow=allow,
    )
    sizes = {
        "difference": request_options.margin("--difference", difference),
        "width": request_options.margin("--width", width),
    }
    with Database.read(database_location(db)) as database:
        table = build.build(database, request)
    records = list(_records(table, wanted, sizes))
    if json:
        console.print_json(records)
    else:
        _print(table, records, width is not None)
        assumed = "a difference of " + difference if difference else "the difference observed"
        if records:
            console.info(f"seeds: on each side, to find {assumed} with probability {wanted:g} (Welch's t test at 5 %)")
    sizes_of_nothing = (
        note
        for size in sizes.values()
        for note in testing.without_scale(table.cells, request, table.base, table.random, size)
    )
    for note in (*sizes_of_nothing, *table.notes):
        console.info(note)
    if not table.counts and (advice := without_evaluations(table.notes)):
        console.info(advice)


def _records(table: Table, wanted: float, sizes: dict[str, Margin | None]) -> Any:
    """One object for each cell but the base's."""
    from dapo_cli.analysis.comparison.testing import scale_of
    from dapo_cli.statistics import sample_size

    for col in table.col_labels:
        anchor = table.at(table.base, col) if table.base else None
        if anchor is None or not anchor.runs:
            continue
        scale = scale_of(anchor, table.request, table.random)
        for row in table.row_labels:
            cell = table.at(row, col)
            if cell is None or not cell.runs or row == table.base or cell.difference is None:
                continue
            observed = cell.difference.value
            smallest, width = sizes["difference"], sizes["width"]
            gap = (smallest and smallest.of(scale)) or observed
            stds = (cell.estimate.std, anchor.estimate.std)
            record = {
                **dict(zip((*table.cols, *table.rows), (*col, *row), strict=True)),
                "n": cell.estimate.n,
                "n_base": anchor.estimate.n,
                "std": stds[0],
                "std_base": stds[1],
                "difference": observed,
                "seeds": sample_size.seeds_to_separate(gap, *stds, power=wanted),
                "power": sample_size.power_at(max(2, min(cell.estimate.n, anchor.estimate.n)), gap, *stds),
            }
            size = width.of(scale) if width else math.nan
            known = math.isfinite(stds[0]) and math.isfinite(size)
            record["seeds_for_width"] = sample_size.seeds_for_width(stds[0], size) if known and size else None
            yield record


def _print(table: Table, records: list[dict[str, Any]], width: bool) -> None:
    from dapo_cli.analysis.selection.labels import key_text
    from dapo_cli.terminal.formatting import number_text

    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "n": lambda record: f"{record['n']} / {record['n_base']}",
        "std": lambda record: f"{_number(record['std'])} / {_number(record['std_base'])}",
        "difference": lambda record: number_text(record["difference"]),
        "power now": lambda record: "–" if math.isnan(record["power"]) else f"{record['power']:.2f}",
        "seeds": lambda record: str(record["seeds"] or "–"),
    }
    if width:
        columns["seeds for width"] = lambda record: str(record["seeds_for_width"] or "–")
    keys = (*table.cols, *table.rows)
    rows = [
        [*(key_text(record[key]) for key in keys), *(text(record) for text in columns.values())] for record in records
    ]
    if rows:
        console.print_table((*keys, *columns), rows, right=list(columns), keys=keys)
    else:
        console.info("nothing to separate: only the base is selected" if table.counts else "no completed run matches")


def _number(value: float) -> str:
    from dapo_cli.terminal.formatting import number_text

    return "–" if math.isnan(value) else number_text(value)
