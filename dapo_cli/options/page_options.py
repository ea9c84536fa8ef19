"""What `dapo report` and `dapo bundle` ask alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.options import request_options
from dapo_cli.options.request_options import Allow, Differences, Scores
from dapo_cli.options.run_options import ChosenRuns
from dapo_cli.options.shared import keys

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the page shows."""

    by: Annotated[
        str,
        typer.Option(
            metavar="KEYS", help="Split lines and rows by these keys, too, such as beta,m [default: those of --vary]."
        ),
    ] = ""
    runs: ChosenRuns
    scores: Scores
    differences: Differences
    allow: Allow = ""
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Of the page [default: algorithms on environments].", show_default=False),
    ] = None

    def request(self) -> Request:
        """What they ask for, a row for each algorithm and value of the keys of `--by`; raises BadInput."""
        rows = request_options.rows(self.by, otherwise=keys("--vary", self.differences.vary))
        return request_options.request(self.runs, self.scores, self.differences, rows=rows, allow=self.allow)
