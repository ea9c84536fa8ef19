"""How far sweeps are, shown: once as a table, or again and again until they are done."""

from __future__ import annotations

import time

from dapo_cli.sweeps.work import dashboard, status
from dapo_cli.sweeps.work.status import DONE, Picture
from dapo_cli.terminal import console
from dapo_cli.terminal.formatting import duration_text
from store.session import Database

WATCH_SECONDS = 2.0


def watch(database: Database, name: str | None) -> None:
    """Until nothing waits or trains; on a terminal in place, elsewhere a line whenever something has changed."""
    overview, said = status.Overview(name), ""
    live = dashboard.Live(name) if console.err().is_terminal else None

    def show() -> bool:
        nonlocal said
        pictures = overview.pictures(database)
        if live is not None:
            live.look(database)
        elif (text := "\n".join(f"{picture.name}: {status.line(picture)}" for picture in pictures)) != said:
            said = text
            console.info(text)
        return any(picture.counts.get(state) for picture in pictures for state in ("queued", "running"))

    if live is None:
        while show():
            time.sleep(WATCH_SECONDS)
        return
    with live.shown():
        while show():
            time.sleep(WATCH_SECONDS)


def print_one(picture: Picture) -> None:
    """A sweep with its groups and its workers."""
    console.write(console.visible(f"{picture.name}: {status.line(picture)}"))
    columns, rows = status.table(picture)
    right = ("done", "steps", "return")
    console.print_table(columns, rows, right=right, keys=picture.varying)
    for worker in picture.workers:
        console.write(console.visible(status.worker_line(worker)))


def print_all(pictures: list[Picture]) -> None:
    """A row for each sweep."""
    columns = ("sweep", "state", "runs", "done", "running", "queued", "failed", "left")
    rows = []
    for picture in pictures:
        counts = picture.counts
        numbers = (sum(counts.values()), sum(counts.get(state, 0) for state in DONE))
        others = tuple(str(counts.get(state, 0)) for state in ("running", "queued", "failed"))
        left = "–" if not picture.left else duration_text(picture.left)
        rows.append((picture.name, picture.state, *map(str, numbers), *others, left))
    console.print_table(columns, rows, right=columns[2:], keys=("sweep",), droppable=("left", "queued"))
