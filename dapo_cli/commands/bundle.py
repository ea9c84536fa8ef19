"""One folder with what a reviewer needs: page, tables, figures, rows, database, and a script that makes them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options import shared
from dapo_cli.options.page_options import Page
from dapo_cli.terminal import console


def bundle(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    page: Page,
    with_files: Annotated[bool, typer.Option("--with-files", help="Also the runs' checkpoints.")] = False,
    anonymous: shared.Anonymous = False,
    db: shared.Db = None,
) -> None:
    """Write what a reviewer needs into one folder, which appears whole or not at all.

    report.html, tables, figures, the runs' rows as CSV, a database of these runs only, and reproduce.sh, which makes
    tables and figures again from that database, or trains the runs again. MANIFEST has the SHA-256 of every file:
    sha256sum -c MANIFEST. No absolute path is in it.
    """
    from dapo_cli import publishing
    from dapo_cli.report import bundle as bundles
    from store.session import Database

    with Database.read(database_location(db)) as database:
        redaction = publishing.redaction(database, anonymous)
        bundles.write(database, page.request(), folder, title=page.title, files=with_files, redaction=redaction)
    if anonymous:
        publishing.say_what_is_left_out()
    console.write(str(folder))
