"""Progress on the screen: a live panel on a terminal, plain lines elsewhere. Always on standard error.

A screen that has gone, such as a closed pipe, must not end a run: nothing here raises OSError.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from dapo_cli.terminal import console
from dapo_cli.terminal.formatting import duration_text, fixed_text, general_text, sparkline
from dapo_cli.training.progress import Display, Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_SECONDS = 10.0
TICK_SECONDS = 0.2  # between two pictures while the first update is compiled
COMPILING = "compiling the first update (once; later runs find it in a cache)"
SHOWN_FIRST = ("temperature", "entropy", "actor_loss", "critic_loss", "q")


def display(title: str, compiled: bool) -> tuple[Display, AbstractContextManager[Any]]:
    """The display that fits standard error and --quiet, and the context in which it is shown.

    `compiled`: the first update is compiled, which blocks the loop for a minute or more.
    """
    if console.verbosity() < 0:
        return Silent(), nullcontext()
    if console.err().is_terminal:
        live = Live(title, compiled)
        return live, live.shown()
    return Plain(title, compiled), nullcontext()


class Silent:
    """Nothing but what must not get lost."""

    def update(self, progress: Progress) -> None:
        """Says nothing."""

    def evaluated(self, progress: Progress) -> None:
        """Says nothing."""

    def say(self, message: str) -> None:
        """Warnings are not progress."""
        with suppress(OSError):
            console.warning(message)


class Plain:
    """A line every few seconds and after each evaluation, for logs."""

    def __init__(self, title: str, compiled: bool = False) -> None:
        with suppress(OSError):
            console.info(title)
        self._next = 0.0
        self._compiled = compiled

    def update(self, progress: Progress) -> None:
        """A line, if the last one is long enough ago, or if the update is about to be compiled."""
        if progress.compiling and self._compiled:
            with suppress(OSError):
                console.info(f"{_counter(progress)}  {COMPILING}")
        elif (now := time.monotonic()) >= self._next:
            self._next = now + PLAIN_SECONDS
            parts = [_counter(progress), _pace(progress)]
            if progress.returns:
                parts.append(f"return {fixed_text(progress.returns[-1], 1)}")
            with suppress(OSError):
                console.info("  ".join(filter(None, parts + _metrics(progress))))

    def evaluated(self, progress: Progress) -> None:
        """The evaluation's line."""
        with suppress(OSError):
            console.info(f"{_counter(progress)}  evaluation {_evaluation(progress)}")

    def say(self, message: str) -> None:
        """A warning's line."""
        with suppress(OSError):
            console.warning(message)


class Live:
    """A panel that stays in place: progress, speed, time left, recent returns, evaluation, diagnostics."""

    def __init__(self, title: str, compiled: bool = False) -> None:
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        self._title, self._compiled = title, compiled
        self._spinner = Spinner("dots")
        self._ticking: tuple[Event, Thread] | None = None  # what draws while the loop is blocked, and what ends it
        self._live = RichLive(console=console.err(), auto_refresh=False, redirect_stdout=False)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While entered, the panel is on the screen."""
        with suppress(OSError):
            self._live.start()
        try:
            yield
        finally:
            self._still()
            with suppress(OSError):
                self._live.stop()

    def update(self, progress: Progress) -> None:
        """Draws the panel anew; while the first update is compiled, it goes on drawing."""
        self._still()
        self._draw(progress, time.monotonic())
        if progress.compiling and self._compiled:
            ended = Event()
            thread = Thread(target=self._tick, args=(ended, progress, time.monotonic()), daemon=True)
            self._ticking = ended, thread
            thread.start()

    def _still(self) -> None:
        if self._ticking is not None:
            ended, thread = self._ticking
            ended.set()
            thread.join()  # it must not draw over what comes next
            self._ticking = None

    def _tick(self, ended: Event, progress: Progress, since: float) -> None:
        while not ended.wait(TICK_SECONDS):
            self._draw(progress, since)

    def _draw(self, progress: Progress, since: float) -> None:
        with suppress(OSError):
            self._live.update(self._panel(progress, time.monotonic() - since), refresh=True)

    def evaluated(self, progress: Progress) -> None:
        """Draws the panel anew."""
        self.update(progress)

    def say(self, message: str) -> None:
        """A line above the panel."""
        from rich.text import Text

        self._live.console.print(Text(f"dapo: warning: {console.visible(message)}"))

    def _panel(self, progress: Progress, seconds: float = 0.0) -> RenderableType:
        """`seconds`: since the first update began."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=progress.steps, completed=progress.step, width=30),
            Text(_counter(progress)),
            Text(_pace(progress)),
        )
        body = Table.grid(padding=(0, 2))
        body.add_column(style="dim")
        body.add_column()
        if progress.returns:
            last = Text(f"{sparkline(list(progress.returns))}  ", style="cyan")
            body.add_row("return", last.append(fixed_text(progress.returns[-1], 1), style="bold"))
        if progress.evaluation:
            body.add_row("evaluation", _evaluation(progress))
        if progress.metrics:
            body.add_row("update", "  ".join(_metrics(progress)))
        if progress.compiling and self._compiled:
            self._spinner.update(text=Text(f"{COMPILING}: {duration_text(seconds)}"))
            body.add_row("update", self._spinner)
        # The cursor stays on a line of its own, where the terminal's ^C neither wraps nor moves the picture.
        return Group(Text(self._title, style="bold"), head, body, Text())


def _counter(progress: Progress) -> str:
    return f"step {progress.step:,} of {progress.steps:,}".replace(",", " ")


def _pace(progress: Progress) -> str:
    if progress.speed is None:
        return "first update" if progress.compiling else "collecting transitions"
    left = int((progress.steps - progress.step) / progress.speed)
    clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}" if left >= 3600 else f"{left // 60}:{left % 60:02d}"
    return f"{progress.speed:.0f} steps/s  {clock} left"


def _evaluation(progress: Progress) -> str:
    assert progress.evaluation is not None
    step, mean, spread = progress.evaluation
    return f"{fixed_text(mean, 1)} ± {spread:.1f} at step {step:,}".replace(",", " ")


def _metrics(progress: Progress) -> list[str]:
    names: Iterable[str] = [*(n for n in SHOWN_FIRST if n in progress.metrics)]
    return [f"{name} {general_text(progress.metrics[name], 3)}" for name in names]
