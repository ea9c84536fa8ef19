"""One page with curves, tables, settings, cost and provenance, which needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.options.page_options import Page
from dapo_cli.terminal import console


def report(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to.")] = Path("report.html"),
    page: Page,
    anonymous: shared.Anonymous = False,
    db: shared.Db = None,
) -> None:
    """Write one page with everything: curves, tables, settings, runs, cost, provenance, and how to make it again.

    The page loads nothing and sends nothing: it can be mailed, printed, and opened in ten years. The same runs give the
    same bytes. No absolute path is in it.
    """
    from dapo_cli import publishing
    from dapo_cli.files import write_files
    from dapo_cli.report import page as pages
    from store.session import Database

    location = database_location(db)
    with Database.read(location) as database:
        content = pages.render(database, page.request(), page.title, publishing.redaction(database, anonymous))
    write_files({out: content})
    if anonymous:
        publishing.say_what_is_left_out()
    console.info(f"wrote {out}")
