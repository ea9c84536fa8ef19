"""The panel of a training: it moves while the first update is compiled, and Ctrl-C does not push it away."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from dapo_cli.terminal import console
from dapo_cli.training import live
from dapo_cli.training.progress import Progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 76 columns gets."""
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, width=76, height=24, markup=False, _environ={"TERM": "xterm"})
    monkeypatch.setattr(console, "err", lambda: terminal)
    monkeypatch.setattr(live, "TICK_SECONDS", 0.01)
    return text


def test_the_panel_moves_while_the_loop_is_blocked(screen: io.StringIO) -> None:
    panel = live.Live("sac on Pendulum-v1", compiled=True)
    with panel.shown():
        panel.update(Progress(steps=100, step=5, compiling=True))
        end = time.monotonic() + 30
        while screen.getvalue().count("compiling the first update") < 5:  # nobody calls update
            assert time.monotonic() < end
            time.sleep(0.01)
        assert len(set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") & set(screen.getvalue())) >= 1
        panel.update(Progress(steps=100, step=6))
        drawn = screen.getvalue().rpartition("step 6 of 100")[2]
        assert "compiling" not in drawn


def test_an_update_that_is_not_compiled_is_not_announced(screen: io.StringIO) -> None:
    panel = live.Live("sac on Pendulum-v1")
    with panel.shown():
        panel.update(Progress(steps=100, step=5, compiling=True))
    assert "compiling" not in screen.getvalue()


def test_the_cursor_rests_on_an_empty_line(screen: io.StringIO) -> None:
    panel = live.Live("sac on Pendulum-v1")
    with panel.shown():
        panel.update(Progress(steps=100, step=5, metrics={"temperature": 0.5}))
        assert screen.getvalue().rpartition("\n")[2].strip() == ""


def test_a_log_says_what_takes_so_long(capsys: pytest.CaptureFixture[str]) -> None:
    for compiled, lines in ((True, 1), (False, 0)):
        plain = live.Plain("sac on Pendulum-v1", compiled)
        plain.update(Progress(steps=100, step=4))
        plain.update(Progress(steps=100, step=5, compiling=True))
        plain.update(Progress(steps=100, step=6))
        err = capsys.readouterr().err
        assert err.count("step 5 of 100  compiling the first update") == lines
