"""How a notice is set: commands as this user can type them, prose folded between words on a terminal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
import textwrap
from functools import cache
from pathlib import Path

_COMMAND_AT_END = re.compile(r"(?:(?<=: )|(?<=^  ))\S*\bdapo [a-z-]+( .*)?$")


def typeable(text: str) -> str:
    """The text, with every command of ours as it can be typed here: `.venv/bin/dapo show …` where `dapo` is unknown."""
    try:
        folder = str(Path.cwd())
    except OSError:  # it has been removed
        folder = "/"
    name = program(folder, os.environ.get("PATH", os.defpath))
    return text if name == "dapo" else _ours().sub(lambda _: f"{name} ", text)


@cache
def program(folder: str, path: str) -> str:
    """What starts this installation in `folder` with this PATH: `dapo`, else its script, which a shell can read."""
    started = Path(sys.argv[0])
    script = started if started.name == "dapo" else Path(sysconfig.get_path("scripts"), "dapo")
    found = shutil.which("dapo", path=path)
    if not script.is_file() or (found is not None and script.samefile(found)):
        return "dapo"
    place = script.absolute()
    return shlex.quote(str(place.relative_to(folder) if place.is_relative_to(folder) else place))


@cache
def _ours() -> re.Pattern[str]:
    files = (Path(__file__).parents[1] / "commands").glob("[!_]*.py")
    names = (file.stem.rstrip("_").replace("_", "-") for file in files)
    return re.compile(rf"(?<![\w./-])dapo (?=(?:{'|'.join(sorted(names))})\b)")


def folded(text: str, width: int) -> str:
    """The text in lines of that width, broken at blanks; a command at its end stays whole, so that it can be copied."""
    if len(text) <= width:
        return text
    command = _COMMAND_AT_END.search(text)
    head = text[: command.start()] if command else text
    lines = textwrap.wrap(head, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, command[0]] if command else lines)


def width_of(stream: object) -> int | None:
    """The columns of the terminal that a stream writes to; None where it is none."""
    try:
        if not stream.isatty():  # type: ignore[attr-defined]
            return None
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdigit() else os.get_terminal_size(stream.fileno()).columns  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
