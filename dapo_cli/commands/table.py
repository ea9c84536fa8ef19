"""Write a table for a paper: LaTeX, Markdown, HTML, CSV or JSON, its numbers traceable."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import shared
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.export.sheets import Style
    from dapo_cli.analysis.export.table_export import Export


class Format(StrEnum):
    """The formats of analysis.writers."""

    LATEX = "latex"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


_BY_ENDING = {
    ".tex": Format.LATEX,
    ".csv": Format.CSV,
    ".md": Format.MARKDOWN,
    ".html": Format.HTML,
    ".json": Format.JSON,
}


class Spread(StrEnum):
    """What stands beside a value."""

    INTERVAL = "interval"
    STD = "std"
    NONE = "none"


def table(
    rows: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the rows, separated by commas.")] = "algo",
    cols: Annotated[str, typer.Option(metavar="KEYS", help="Keys of the columns.")] = "env",
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="latex, csv, markdown, html or json [default: by the ending of --out; printed, markdown].",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write to a file (.tex, .csv, .md, .html, .json), and record what is behind every cell.",
            show_default=False,
        ),
    ] = None,
    spread: Annotated[
        Spread, typer.Option(metavar="SPREAD", help="Beside a value: its 95 % interval, the runs' std, or none.")
    ] = Spread.INTERVAL,
    digits: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=9, help="Digits after the point; else by each column's size.")
    ] = None,
    hyperparameters: Annotated[
        bool, typer.Option("--hyperparameters", help="The settings of these runs instead, shared and changed.")
    ] = False,
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
    base: shared.Base = None,
    vary: shared.Vary = "",
    pool_over: shared.PoolOver = None,
    equivalent: shared.Equivalent = None,
    allow: shared.Allow = "",
    strict: shared.Strict = False,
    resamples: shared.Resamples = 10_000,
    seed: shared.ResamplingSeed = 0,
    db: shared.Db = None,
) -> None:
    """Write a table for a paper: a statistic of the runs' scores, with its interval.

    Keys are algo, env, tag, every other column of the table run, and every hyperparameter. Bold is what is not
    distinguishable from the best of its column. Every cell has a key: dapo why KEY says where its number comes from,
    and dapo verify FILE whether it still is what the runs say.
    """
    request, style = asked(locals())
    from dapo_cli.analysis.export import table_export
    from store.session import Database

    location = database_location(db)
    with Database.read(location) as database:
        made = table_export.make(database, request, style)
    if out is None:
        console.write(made.text)
    else:
        from dapo_cli.files import write_files

        write_files({out: made.text.encode("utf-8", "backslashreplace")})
        console.info(f"wrote {out}")
        _record(location, made, out)
    for line in made.table.notes:
        console.info(line)


def _record(location: str, made: Export, out: Path) -> None:
    """Enter the export into the database, so that `dapo why KEY` finds it without the file."""
    from store.errors import StoreError
    from store.records import exports
    from store.session import Database

    sheet = made.sheet
    try:
        with Database.write(location) as database:
            exports.record(database, sheet.export, sheet.command, made.definition)
    except StoreError as error:
        console.info(
            f"{error}; the key {sheet.export} is known by the file only: dapo why {sheet.export} {quote(str(out))}"
        )


def asked(values: dict[str, Any]) -> tuple[Request, Style]:
    """What the values of the options ask for: option -> value; raises BadInput."""
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.export.sheets import Style
    from dapo_cli.analysis.selection import measures

    vary = tuple(shared.keys("--vary", values["vary"]))
    request = Request(
        choice=shared.choice(
            *(values[name] for name in ("where", "tags", "sweep", "selection", "tuning", "unfinished"))
        ),
        rows=tuple(shared.keys("--rows", values["rows"])),
        cols=tuple(shared.keys("--cols", values["cols"])),
        measure=measures.parse(values["measure"]),
        statistic=shared.statistic(values["stat"]),
        normalise=values["normalise"],
        references=values["references"],
        base=values["base"],
        vary=vary,
        pool_over=shared.pooled(values["pool_over"]),
        equivalent=values["equivalent"],
        allow=tuple(shared.keys("--allow", values["allow"])),
        strict=values["strict"],
        resamples=values["resamples"],
        seed=values["seed"],
    )
    return request, Style(
        str(_format(values["format_"], values["out"])),
        str(Spread(values["spread"])),
        values["digits"],
        values["hyperparameters"],
    )


def _format(asked: Format | None, out: Path | None) -> Format:
    """The format that is asked for, or else that of the file's ending; raises BadInput for an unknown ending."""
    if asked is not None or out is None:
        return asked or Format.MARKDOWN
    if (ending := out.suffix.lower()) not in _BY_ENDING:
        endings = ", ".join(_BY_ENDING)
        raise BadInput(f"--out: {out} does not say which format: let its name end in {endings}, or add --format")
    return _BY_ENDING[ending]


def from_command(text: str) -> tuple[Request, Style]:
    """What a command line `dapo table …` asks for, read by this command's own parser; raises BadInput.

    It comes from a file: it may hold what makes a table, not where to write or which database to read.
    """
    import shlex

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"'{text}' is no command line ({error})") from error
    if words[:2] != ["dapo", "table"]:
        raise BadInput(f"'{text}' is no dapo table …")
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(add_help_option=False)(table)
    try:
        values = typer.main.get_command(holder).make_context("table", words[2:]).params
    except typer.TyperException as error:
        raise BadInput(f"'{text}' cannot be read: {error.format_message()}") from error
    if values["out"] or values["db"]:
        raise BadInput(f"'{text}' names a place: take --out and --db out of it")
    if values["references"] and not Path(values["references"]).is_file():
        raise BadInput(f"--references: there is no file {values['references']}, which '{text}' needs")
    return asked(values)
