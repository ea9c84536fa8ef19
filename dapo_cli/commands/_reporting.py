"""What `dapo report` and `dapo bundle` ask alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.options import shared

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.selection.selected import Choice

By = Annotated[
    str,
    typer.Option(
        metavar="KEYS", help="Split lines and rows by these keys, too, such as beta,m [default: those of --vary]."
    ),
]
Title = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Of the page [default: algorithms on environments].", show_default=False),
]


def request(
    choice: Choice,
    by: str,
    measure: str,
    stat: str,
    normalise: str | None,
    references: str | None,
    base: str | None,
    vary: str,
    pool_over: str | None,
    equivalent: str | None,
    allow: str,
) -> Request:
    """What the options ask for, a row for each algorithm and value of the keys `by`; raises BadInput."""
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.selection import measures

    varied = shared.keys("--vary", vary)
    keys = shared.keys("--by", by) or varied
    return Request(
        choice=choice,
        rows=("algo", *(key for key in keys if key not in ("algo", "env"))),
        measure=measures.parse(measure),
        statistic=shared.statistic(stat),
        normalise=normalise,
        references=references,
        base=base,
        vary=tuple(varied),
        pool_over=shared.pooled(pool_over),
        equivalent=equivalent,
        allow=tuple(shared.keys("--allow", allow)),
    )
