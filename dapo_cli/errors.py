"""What can go wrong, as the user sees it: one line on standard error that names the remedy, and an exit code.

DapoError (2)
├── BadInput (2)      the user asked for something that cannot be: a name, a value, a file
├── RunFailed (1)     the run itself failed or diverged
└── Interrupted       stopped by a signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP

`store.errors.StoreError` is the store's own tree; `dapo_cli.app.main` treats it like BadInput.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator
from difflib import get_close_matches


class DapoError(Exception):
    """An error to be shown as the one line `dapo: <message>`."""

    exit_code = 2


class BadInput(DapoError):
    """What the user typed, or a file that the user named, does not make sense; nothing was written."""


class RunFailed(DapoError):
    """A run ended as failed or diverged; its record is in the database."""

    exit_code = 1


class Interrupted(DapoError):
    """A signal ended the command in good order."""

    def __init__(self, message: str = "interrupted", signum: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """Puts the option, or whatever the text was given by, before a refusal of what it says: `--where: …`."""
    try:
        yield
    except BadInput as error:
        error.args = (f"{option}: {error}",)
        raise


def in_one_line(error: BaseException) -> str:
    """What an error of code that is not ours says, after its kind; of one of ours, what it says."""
    words = " ".join(str(error).split())
    return words if isinstance(error, DapoError) else f"{type(error).__name__}: {words}".removesuffix(": ")


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """The remedy for a name that is not among `candidates`: the likely ones, else the first few of all.

    >>> did_you_mean("dapo-k", ["sac", "dapo-kl"])
    "did you mean 'dapo-kl'?"
    """
    names = sorted(set(candidates))
    by_folded = {name.casefold(): name for name in reversed(names)}
    matches = get_close_matches(word.casefold(), by_folded, n=3, cutoff=0.6)
    if matches:
        return f"did you mean {' or '.join(repr(by_folded[match]) for match in matches)}?"
    if not names:
        return "there is none to choose from"
    return f"choose from {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
