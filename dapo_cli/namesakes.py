"""Other code by the names of our packages `algorithms` and `store`: Python would import one in place of the other."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
OURS = {"algorithms": "dapo.algorithms", "store": "The record of every run"}
"""Package -> words that its `__init__.py` holds."""


def check() -> None:
    """Raise ImportError, of one line that names both files, where there is such code. Imports nothing."""
    for name, words in OURS.items():
        own = HOME / name / "__init__.py"
        for folder in dict.fromkeys(sys.path):
            spec = PathFinder.find_spec(name, [folder])
            other = Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None
            if other is None or other == own or _of_another_dapo(other):
                continue
            first = "start dapo with: python -P -m dapo_cli"
            remedy = first if folder == sys.path[0] else "give dapo a virtual environment of its own"
            raise ImportError(
                f"{other} has the name of dapo's own {own}, and Python knows only one of them: rename it, or {remedy}"
            )
        if not own.is_file() or words not in own.read_text(encoding="utf-8", errors="replace"):
            raise ImportError(
                f"{own} is not the one that {Path(__file__)} belongs to, as a package '{name}' was installed over it: "
                f"pip uninstall {name}, and install dapo-cli again"
            )


def _of_another_dapo(file: Path) -> bool:
    return file.name == "__init__.py" and (file.parent.parent / "dapo_cli").is_dir()
