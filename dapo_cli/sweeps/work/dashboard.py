"""What a worker shows: a dashboard on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dapo_cli.sweeps.work import status
from dapo_cli.terminal import console
from store.records import runs
from store.session import Database

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_SECONDS = 60.0  # between two lines of progress
LIVE_SECONDS = 2.0  # between two pictures
_MOST_GROUPS = 20  # that are shown live


class Plain:
    """A line for each run that starts or ends, and one of progress every minute, for logs."""

    def __init__(self, sweep: str | None) -> None:
        self._overview = status.Overview(sweep)
        self._next = time.monotonic() + PLAIN_SECONDS
        self._names: dict[str, str] = {}
        self._happenings: list[tuple[str, str, str]] = []

    def happened(self, run_id: str, status_: str, reason: str) -> None:
        """A run started or ended; its line follows with the next look."""
        self._happenings.append((run_id, status_, reason))

    def look(self, db: Database) -> None:
        """The lines of what has happened; every minute, or where a run ended, how far everything is."""
        happenings, self._happenings = self._happenings, []
        if happenings:
            self._overview.follow(db)
        for run_id, status_, reason in happenings:
            self._say(db, run_id, status_, reason)
        ended = any(status_ != "started" for _, status_, _ in happenings)
        if (ended or time.monotonic() >= self._next) and console.verbosity() >= 0:
            self._next = time.monotonic() + PLAIN_SECONDS
            for picture in self._overview.pictures(db):
                with suppress(OSError):
                    console.info(f"{picture.name}: {status.line(picture)}")

    def warn(self, message: str) -> None:
        """Warnings are not progress."""
        with suppress(OSError):
            console.warning(message)

    def _say(self, db: Database, run_id: str, status_: str, reason: str) -> None:
        if run_id not in self._names:
            self._names[run_id] = status.describe(db, run_id)
        text = f"{self._names[run_id]} {_WORDS.get(status_, status_)}" + (f": {reason}" if reason else "")
        if status_ in ("failed", "diverged") or (status_ == "queued" and "worker was stopped" not in reason):
            self.warn(text)
        else:
            with suppress(OSError):
                console.info(text)


_WORDS = {"queued": "goes back to the queue", "gone": "is no longer this worker's"}


class Live:
    """A picture that stays in place: progress and time left, workers, the groups of the grid, what happened last."""

    def __init__(self, sweep: str | None) -> None:
        from rich.live import Live as RichLive

        self._overview = status.Overview(sweep)
        self._live = RichLive(console=console.err(), auto_refresh=False, redirect_stdout=False, transient=False)
        self._next = 0.0
        self._ids: dict[str, str] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While entered, the picture is on the screen."""
        with suppress(OSError):
            self._live.start()
        try:
            yield
        finally:
            with suppress(OSError):
                self._live.stop()

    def happened(self, run_id: str, status_: str, reason: str) -> None:
        """What ended badly stays above the picture; everything else is in it."""
        if reason and status_ in ("failed", "diverged", "queued"):
            self.warn(f"run {self._ids.get(run_id, run_id)} {_WORDS.get(status_, status_)}: {reason}")
        self._next = 0.0

    def look(self, db: Database) -> None:
        """Draws the picture anew, if the last one is old enough."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LIVE_SECONDS
        self._ids = runs.shorten(db)
        with suppress(OSError):
            self._live.update(picture_of(self._overview.pictures(db)), refresh=True)

    def warn(self, message: str) -> None:
        """A line above the picture."""
        from rich.text import Text

        with suppress(OSError):
            self._live.console.print(Text(f"dapo: warning: {console.visible(message)}"))


@contextmanager
def screen(sweep: str | None) -> Iterator[Plain | Live]:
    """The screen that fits standard error and --quiet; while entered, it is shown."""
    if console.verbosity() >= 0 and console.err().is_terminal:
        live = Live(sweep)
        with live.shown():
            yield live
    else:
        yield Plain(sweep)


def picture_of(pictures: list[status.Picture]) -> RenderableType:
    """The pictures of sweeps as a Rich renderable: a bar, a line, the workers and the groups of each."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for picture in pictures:
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(console.visible(picture.name), style="bold"),
            ProgressBar(total=max(1, picture.steps), completed=picture.step, width=30),
            Text(status.line(picture)),
        )
        parts.append(head)
        groups = Table(box=None, pad_edge=False, header_style="dim")
        columns, rows = status.table(picture)
        for column in columns:
            groups.add_column(console.visible(column), justify="left" if column in picture.varying else "right")
        for row, group in zip(rows[:_MOST_GROUPS], picture.groups, strict=False):
            groups.add_row(*(Text(console.visible(cell)) for cell in row), style="bold" if group.best else "")
        parts.append(groups)
        if len(rows) > _MOST_GROUPS:
            parts.append(Text(f"… and {len(rows) - _MOST_GROUPS} more groups", style="dim"))
        for worker in picture.workers:
            parts.append(Text(console.visible(status.worker_line(worker)), style="dim"))
    # The cursor stays on a line of its own, where the terminal's ^C neither wraps nor moves the picture.
    return Group(*(parts or [Text("the queue is empty")]), Text())
