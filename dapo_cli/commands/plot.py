"""Draw curves, sensitivity, profiles, improvement, intervals."""

from __future__ import annotations

from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.errors import BadInput
from dapo_cli.options import request_options, shared
from dapo_cli.options.request_options import PoolOver, Rigour, Scores
from dapo_cli.options.run_options import ChosenRuns
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.figures.words import Plot
    from store.session import Database


class Kind(StrEnum):
    """What can be drawn."""

    CURVES = "curves"
    SENSITIVITY = "sensitivity"
    PROFILE = "profile"
    IMPROVEMENT = "improvement"
    INTERVALS = "intervals"


class Band(StrEnum):
    """The bands of analysis.curves."""

    CI = "ci"
    STD = "std"
    MINMAX = "minmax"
    NONE = "none"


class Style(StrEnum):
    """The widths of figures.layout."""

    COLUMN = "column"
    PAGE = "page"


_CURVES, _SCORES = {Kind.CURVES}, set(Kind) - {Kind.CURVES}
_OWN: dict[str, set[Kind]] = {
    "y": _CURVES,
    "band": _CURVES,
    "window": _CURVES,
    "runs": _CURVES,
    "statistic": {Kind.CURVES, Kind.SENSITIVITY},
    "x": {Kind.SENSITIVITY},
    "base": {Kind.IMPROVEMENT},
    "measure": _SCORES,
    "normalise": _SCORES,
    "references": _SCORES,
    "resamples": _SCORES - {Kind.SENSITIVITY},
    "seed": _SCORES - {Kind.SENSITIVITY},
}
"""The options that not every kind has."""


def plot(
    *,
    context: typer.Context,
    kind: Annotated[
        Kind, typer.Argument(metavar="[KIND]", help="curves, sensitivity, profile, improvement or intervals.")
    ] = Kind.CURVES,
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="A line (or row) for each value of these keys, too, such as beta,m or tag."),
    ] = "",
    choice: ChosenRuns,
    y: Annotated[
        str,
        typer.Option("--y", metavar="NAME", help="Of curves: return, train-return, or a diagnostic such as q."),
    ] = "return",
    band: Annotated[
        Band, typer.Option(metavar="BAND", help="Of curves: ci (95 % interval), std, minmax or none.")
    ] = Band.CI,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=shared.whole_number, help="Average training returns over N steps [default: a 50th]."
        ),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", help="Draw every run's curve, too, as a faint line.")] = False,
    x: Annotated[
        str | None, typer.Option("--x", metavar="KEY", help="Of sensitivity: the hyperparameter, such as beta.")
    ] = None,
    scores: Scores,
    base: Annotated[
        str | None,
        typer.Option(metavar="FILTER", help="Of improvement: over these runs [default: every pair]."),
    ] = None,
    pool_over: PoolOver = None,
    rigour: Rigour,
    style: Annotated[
        Style | None,
        typer.Option(metavar="WIDTH", help="column (3.4 in) or page (7 in) [default: what suits the figure]."),
    ] = None,
    caption: Annotated[bool, typer.Option("--caption/--no-caption", help="Say under the figure what it shows.")] = True,
    out: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Where to: .pdf, .svg, .png or .pgf; repeatable [default: KIND.pdf]."),
    ] = None,
    db: shared.Db = None,
    json: shared.Json = False,
) -> None:
    """Draw learning curves, or one of four figures of the runs' scores.

    curves: a panel for each environment, a line for each algorithm. sensitivity: scores against a hyperparameter
    (--x beta). profile: the fraction of runs above each normalised score. improvement: how probable it is that one
    algorithm beats another. intervals: mean, median, interquartile mean and optimality gap side by side.

    The figure says what it shows, of which runs. With --json the numbers are printed, and a file is written only if
    --out names one.
    """
    from dapo_cli.figures import style as looks
    from dapo_cli.figures.layout import Paper
    from dapo_cli.files import write_files
    from store.session import Database

    _check_options(context, kind)
    files = out or ([] if json else [Path(f"{kind.value}.pdf")])
    formats = {path: looks.format_of(path) for path in files}
    rows = request_options.rows(by)
    request = request_options.request(choice, scores, rigour, rows=rows, base=base, pool_over=pool_over)
    with Database.read(database_location(db)) as database:
        if kind is Kind.CURVES:
            drawn = _curves(database, request, y=y, band=band.value, window=window, runs=runs)
        else:
            drawn = _scores(database, request, kind, x)
    if files:
        paper = Paper(style.value if style else "", caption)
        images = looks.rendered(lambda: drawn.draw(paper), set(formats.values()), drawn.caption)
        write_files({path: images[format_] for path, format_ in formats.items()})
    if json:
        console.print_json(drawn.records)
    else:
        names = tuple(takewhile(lambda column: column not in drawn.right, drawn.header))
        console.print_table(drawn.header, drawn.rows, right=drawn.right, keys=names)
    for path in files:
        console.info(f"wrote {path}")
    for note in drawn.notes if json else [drawn.caption]:
        console.info(note)


def _check_options(context: typer.Context, kind: Kind) -> None:
    """Raise BadInput for an option that means nothing to this kind."""
    options = {param.name: param.opts[0] for param in context.command.params}
    for name, kinds in _OWN.items():
        source = context.get_parameter_source(name)
        if kind not in kinds and source is not None and source.name == "COMMANDLINE":
            able = " or ".join(f"dapo plot {one.value}" for one in Kind if one in kinds)
            raise BadInput(f"{options[name]}: dapo plot {kind.value} does not take it: leave it out, or use {able}")
    if kind is Kind.SENSITIVITY and context.params["x"] is None:
        raise BadInput("--x: against which hyperparameter? Name it, such as --x beta")


def _curves(database: Database, request: Any, *, runs: bool, **asked: Any) -> Plot:
    from dapo_cli.analysis.curves import learning_curves
    from dapo_cli.figures import curves as figure

    drawn = learning_curves.collect(
        database,
        request.choice,
        by=request.rows[1:],
        pooled=request.pool_over,
        statistic=request.statistic,
        allow=request.allow,
        strict=request.strict,
        quantity=asked["y"],
        band=asked["band"],
        window=asked["window"],
    )
    return figure.plot(drawn, runs=runs)


def _scores(database: Database, request: Any, kind: Kind, x: str | None) -> Plot:
    from dapo_cli.analysis.comparison import across_environments
    from dapo_cli.analysis.comparison import sensitivity as sensitivities
    from dapo_cli.figures import improvement, intervals, profiles, sensitivity

    if kind is Kind.SENSITIVITY:
        return sensitivity.plot(sensitivities.collect(database, request, x or ""))
    figures = {Kind.PROFILE: profiles.plot, Kind.IMPROVEMENT: improvement.plot, Kind.INTERVALS: intervals.plot}
    return figures[kind](across_environments.collect(database, request))
