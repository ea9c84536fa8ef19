"""What the benchmarks share: the machine in words, Markdown tables, and their sections of docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dapo_cli.files import write_files
from dapo_cli.training.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
EXAMPLE = ROOT / "runs.db.example"
LOAD = os.getloadavg()[0]  # before a benchmark adds its own


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark has: --quick and --write."""
    made = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a look in a minute or so; not for the record")
    made.add_argument("--write", action="store_true", help="put the result into docs/performance.md")
    return made


def machine() -> str:
    """Processor, cores, memory, versions, and how busy the machine was before, as one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "numpy", "gymnasium", "mujoco"))
    return (
        f"{cores()} cores of {processor()}, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, "
        f"{versions}; load before {LOAD:.1f}"
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, the first column aligned left and the others right; floats as they should be read."""
    cells = [[_text(cell) for cell in row] for row in rows]
    rule = [":---", *["---:"] * (len(headers) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(headers), rule, *cells])


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 100 else f"{cell:.0f}"
    return "–" if cell is None else str(cell)


def publish(section: str, text: str, options: argparse.Namespace) -> None:
    """Prints the result and, with --write, puts it between the marks of its section of docs/performance.md."""
    print(text)
    if not options.write:
        return
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *(a for a in sys.argv[1:] if a != "--write")])
    body = f"<!-- {section} -->\n`{command}`. {machine()}.\n\n{text}\n<!-- end of {section} -->"
    pattern = re.compile(f"<!-- {section} -->.*?<!-- end of {section} -->", re.DOTALL)
    page, found = pattern.subn(lambda _: body, PAGE.read_text(encoding="utf-8"))
    if not found:
        raise SystemExit(f"{PAGE} has no section <!-- {section} --> … <!-- end of {section} -->: add the two marks")
    write_files({PAGE: page.encode()})
