"""Turns what a terminal shows into docs/terminal.svg.

tmux capture-pane -e -p | python docs/terminal_picture.py
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

screen = sys.stdin.read().rstrip().removesuffix("$").rstrip()
lines = screen.splitlines()
start = next(i for i, line in enumerate(lines) if "dapo train" in line)
lines[start] = "$ make train"
console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
for line in lines[start:]:
    console.print(Text.from_ansi(line), soft_wrap=True)
console.save_svg(str(Path(__file__).with_name("terminal.svg")), title="dapo")
