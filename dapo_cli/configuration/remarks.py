"""What the user says about runs in words: tags and notes, from the command line or a file of settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dapo_cli.errors import BadInput

COMMAND_LINE = "the command line"
_IN_NOTES = "\n\t"  # control characters that a text may have


def tags(values: Any, source: str = COMMAND_LINE) -> tuple[str, ...]:
    """The tags, each once. Raises BadInput where that is no list of words, or one is blank or cannot be printed."""
    if isinstance(values, str) or not isinstance(values, Iterable) or not all(isinstance(tag, str) for tag in values):
        raise BadInput(f'tags = {_short(values)} in {source}: tags must be a list of strings: write tags = ["first"]')
    for tag in values:
        if not tag.strip() or not tag.isprintable():
            what = "has control characters" if tag.strip() else "is blank"
            raise BadInput(f"the tag {_short(tag)} in {source} {what}: write a word, such as paper")
    return tuple(dict.fromkeys(values))


def note(value: Any, source: str = COMMAND_LINE) -> str | None:
    """The note. Raises BadInput where that is no text, or has control characters other than line feeds and tabs."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadInput(f'note = {_short(value)} in {source}: a note is a text: write note = "…"')
    if any(not (character.isprintable() or character in _IN_NOTES) for character in value):
        raise BadInput(f"the note {_short(value)} in {source} has control characters: leave them out")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
