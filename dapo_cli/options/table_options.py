"""The options of `dapo table`, on its command line and in the command that stands with a table in a file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import request_options
from dapo_cli.options.expansion import call_with_groups, expand_groups
from dapo_cli.options.request_options import Differences, Rigour, Scores
from dapo_cli.options.run_options import ChosenRuns
from dapo_cli.options.shared import Db, keys

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.export.sheets import Style


class Format(StrEnum):
    """The formats of analysis.export.writers."""

    LATEX = "latex"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


_BY_ENDING = dict(zip((".tex", ".csv", ".md", ".html", ".json"), Format, strict=True))


class Spread(StrEnum):
    """What stands beside a value."""

    INTERVAL = "interval"
    STD = "std"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What makes a table, and where it goes."""

    rows: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the rows, separated by commas.")] = "algo"
    cols: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the columns.")] = "env"
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="latex, csv, markdown, html or json [default: by the ending of --out; printed, markdown].",
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write to a file (.tex, .csv, .md, .html, .json), and record what is behind every cell.",
            show_default=False,
        ),
    ] = None
    spread: Annotated[
        Spread, typer.Option(metavar="SPREAD", help="Beside a value: its 95 % interval, the runs' std, or none.")
    ] = Spread.INTERVAL
    digits: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=9, help="Digits after the point; else by each column's size.")
    ] = None
    hyperparameters: Annotated[
        bool, typer.Option("--hyperparameters", help="The settings of these runs instead, shared and changed.")
    ] = False
    runs: ChosenRuns
    scores: Scores
    differences: Differences
    rigour: Rigour

    def request(self) -> Request:
        """What is in the table; raises BadInput."""
        shape = {"rows": keys("--rows", self.rows), "cols": keys("--cols", self.cols)}
        return request_options.request(self.runs, self.scores, self.differences, self.rigour, **shape)

    def style(self) -> Style:
        """How it is written; raises BadInput for a file whose ending says no format."""
        from dapo_cli.analysis.export.sheets import Style

        return Style(str(self._format()), str(self.spread), self.digits, self.hyperparameters)

    def _format(self) -> Format:
        if self.format_ is not None or self.out is None:
            return self.format_ or Format.MARKDOWN
        if (ending := self.out.suffix.lower()) not in _BY_ENDING:
            endings = ", ".join(_BY_ENDING)
            raise BadInput(
                f"--out: {self.out} does not say which format: let its name end in {endings}, or add --format"
            )
        return _BY_ENDING[ending]


def from_command(text: str) -> tuple[Request, Style]:
    """What a command line `dapo table …` asks for; raises BadInput.

    It comes from a file: it may hold what makes a table, not where to write or which database to read.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"'{text}' is no command line ({error})") from error
    if words[:2] != ["dapo", "table"]:
        raise BadInput(f"'{text}' is no dapo table …")
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(add_help_option=False)(expand_groups(_table))
    try:
        values = typer.main.get_command(holder).make_context("table", words[2:]).params
    except typer.TyperException as error:
        raise BadInput(f"'{text}' cannot be read: {error.format_message()}") from error
    if values["out"] or values["db"]:
        raise BadInput(f"'{text}' names a place: take --out and --db out of it")
    if values["references"] and not Path(values["references"]).is_file():
        raise BadInput(f"--references: there is no file {values['references']}, which '{text}' needs")
    options: TableOptions = call_with_groups(TableOptions, values)
    return options.request(), options.style()


def _table(options: TableOptions, db: Db = None) -> None:
    """The signature of the command."""
