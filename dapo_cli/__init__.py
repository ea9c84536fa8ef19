"""dapo: train policies, keep every episode, compare what was learned. The code behind the command `dapo`."""

import sys
from pathlib import Path

from dapo_cli import namesakes

__version__ = "0.1.0"

if Path(*sys.argv[:1]).name not in ("dapo", "-m"):  # in a notebook; the command says it in a line of its own
    namesakes.check()
