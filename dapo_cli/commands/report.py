"""One page with curves, tables, settings, cost and provenance, which needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dapo_cli import console, options
from dapo_cli.commands import _reporting
from dapo_cli.project_file import database_location


def report(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to.")] = Path("report.html"),
    by: _reporting.By = "",
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
    base: options.Base = None,
    vary: options.Vary = "",
    pool_over: options.PoolOver = None,
    equivalent: options.Equivalent = None,
    allow: options.Allow = "",
    title: _reporting.Title = None,
    anonymous: options.Anonymous = False,
    db: options.Db = None,
) -> None:
    """Write one page with everything: curves, tables, settings, runs, cost, provenance, and how to make it again.

    The page loads nothing and sends nothing: it can be mailed, printed, and opened in ten years. The same runs give the
    same bytes. No absolute path is in it.
    """
    from dapo_cli import publishing
    from dapo_cli.files import write_files
    from dapo_cli.report import page
    from store.session import Database

    location = database_location(db)
    choice = options.choice(where, tags, sweep, selection, tuning, unfinished)
    request = _reporting.request(
        choice, by, measure, stat, normalise, references, base, vary, pool_over, equivalent, allow
    )
    with Database.read(location) as database:
        content = page.render(database, request, title, publishing.redaction(database, anonymous))
    write_files({out: content})
    if anonymous:
        publishing.say_what_is_left_out()
    console.info(f"wrote {out}")
