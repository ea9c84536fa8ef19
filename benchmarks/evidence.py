"""Runs the commands that stand in docs/results.md again, and puts what they print where it stood.

    python benchmarks/evidence.py [--db runs.db.example] [--check]

A block begins with a comment, `run:` and a command, and ends with `end of run`. With --check nothing is written, and
the exit code is 1 if a block would change. Pictures (dapo plot … --out) are drawn anew;
--check compares the numbers in them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import shlex
from pathlib import Path

from dapo_cli.app import main as dapo

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- run: (dapo [^\n]*) -->\n).*?(<!-- end of run -->)", re.DOTALL)


def printed(command: str, db: str, draw: bool) -> str:
    """What the command prints, as the page has it; of a plot, its picture, and a digest of the numbers in it."""
    picture = re.search(r" --out docs/(\S+)\.png", command)
    if picture is None:
        text = _output_of(command, db)
        return text if " --markdown" in command or command.startswith("dapo table") else f"```text\n{text}\n```"
    text = _output_of(f"{command if draw else command.replace(picture[0], '')} --json", db)
    numbers = json.loads(text, parse_float=lambda digits: f"{float(digits):.6g}")  # the same on every processor
    digest = hashlib.sha256(json.dumps(numbers).encode()).hexdigest()
    return f"![{Path(picture[1]).name}]({picture[1]}.png)\n<!-- of numbers with digest {digest[:12]} -->"


def _output_of(command: str, db: str) -> str:
    _, *arguments = [*shlex.split(command), "--db", db]
    os.environ["COLUMNS"] = "120"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as said:
        code = dapo(arguments)
    if code:
        raise SystemExit(f"{command}: {said.getvalue().strip()}")
    return out.getvalue().strip()


def refreshed(page: str, db: str, draw: bool = True) -> str:
    """The page with what every block's command prints now, and the command for a reader to type."""

    def again(block: re.Match[str]) -> str:
        start, command, end = block.groups()
        return f"{start}{printed(command, db, draw)}\n\n`{command} --db runs.db.example`\n{end}"

    return BLOCK.sub(again, page)


def main() -> None:
    """Reads the options, and writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", default=str(ROOT / "runs.db.example"))
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a block would change")
    options = parser.parse_args()
    db = str(Path(options.db).resolve())
    os.chdir(ROOT)
    before = PAGE.read_text(encoding="utf-8")
    after = refreshed(before, db, draw=not options.check)
    if options.check:
        raise SystemExit(int(before != after))
    PAGE.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
