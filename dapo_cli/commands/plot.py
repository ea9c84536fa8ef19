"""Draw learning curves with their uncertainty."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli import console, options
from dapo_cli.project_file import database_location

if TYPE_CHECKING:
    from dapo_cli.analysis.curves import Curves

DEFAULT_FILE = Path("curves.pdf")


class Band(StrEnum):
    """The bands of analysis.curves."""

    CI = "ci"
    STD = "std"
    MINMAX = "minmax"
    NONE = "none"


def plot(
    y: Annotated[
        str,
        typer.Option("--y", metavar="NAME", help="What to draw: return, train-return, or a diagnostic such as q."),
    ] = "return",
    by: Annotated[
        str,
        typer.Option(metavar="KEYS", help="A line for each value of these keys, too, such as beta,m or tag."),
    ] = "",
    where: options.Where = None,
    tags: options.Tags = None,
    sweep: options.Sweep = None,
    selection: options.Frozen = None,
    tuning: options.Tuning = False,
    unfinished: options.Unfinished = False,
    band: Annotated[
        Band, typer.Option(metavar="BAND", help="ci (95 % interval of the mean), std, minmax or none.")
    ] = Band.CI,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=options.whole_number, help="Average training returns over N steps [default: a 50th]."
        ),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", help="Draw every run, too, as a faint line.")] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Where to: .pdf, .svg or .png; repeatable [default: curves.pdf]."),
    ] = None,
    db: options.Db = None,
    json: options.Json = False,
) -> None:
    """Draw learning curves: a panel for each environment, a line for each algorithm, with a band.

    Runs are aligned by environment steps, and runs of unequal length are kept: where fewer than all runs of a line have
    a value, it goes on thin. The figure says what its lines and bands are. With --json the numbers are printed, and a
    file is written only if --out names one.
    """
    from dapo_cli.analysis import curves, figures
    from dapo_cli.files import write_files
    from store.session import Database

    files = out or ([] if json else [DEFAULT_FILE])
    formats = {path: figures.format_of(path) for path in files}
    keys = options.keys("--by", by)
    with Database.read(database_location(db)) as database:
        choice = options.choice(where, tags, sweep, selection, tuning, unfinished)
        drawn = curves.collect(database, choice, quantity=y, by=keys, band=band.value, window=window)
    if files:
        from dapo_cli.analysis import curve_figure

        about = " ".join([curve_figure.explanation(drawn, runs=runs), *(f"Note: {note}." for note in drawn.notes())])
        images = figures.rendered(lambda: curve_figure.draw(drawn, runs=runs), set(formats.values()), about)
        write_files({path: images[format_] for path, format_ in formats.items()})
    if json:
        console.print_json(drawn.records())
    else:
        _print_lines(drawn)
    for path in files:
        console.info(f"wrote {path}")
    for note in drawn.notes():
        console.info(note)


def _print_lines(drawn: Curves) -> None:
    from dapo_cli.analysis.labels import key_text
    from dapo_cli.display import number_text, steps_text

    rows = []
    for curve in drawn.lines:
        first, last = (steps_text(choose(int(one.steps[-1]) for one in curve.series)) for choose in (min, max))
        steps = last if first == last else f"{first} to {last}"
        labels = [key_text(value) for value in (curve.env, *curve.label)]
        rows.append((*labels, str(curve.n), steps, number_text(float(curve.mean[-1])), curve.band))
    right = ("n", "steps", "last mean")
    console.print_table(("env", *drawn.keys, "n", "steps", "last mean", "band"), rows, right=right, whole=right)
