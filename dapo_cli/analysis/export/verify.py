"""Whether an exported table still is what the database says, cell by cell, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.analysis.export.parse import Found, Seen

EDITED = "edited by hand"
BESIDE = "the text beside the cells"


class Moved(NamedTuple):
    """A cell that is not as it was: its labels, its key, what it said and says, and why."""

    labels: str
    key: str
    old: str
    new: str
    why: str


def moved(
    old: Found, new: Found, recorded: Mapping[str, Any] | None, now: Mapping[str, Any], split: Sequence[str] = ()
) -> list[Moved]:
    """The cells of a table in a file that differ from the same table made now.

    `recorded` and `now` are the definitions of both (`traces.definition`), the first if the database has it: they tell
    which run it was. `split` are the keys that were added to the rows now, so that a cell is one configuration.
    """
    if split and not old.cells.keys() & new.cells.keys():
        why = (
            f"a cell is one configuration now, and these pool several: make the table anew, "
            f"or add --pool-over {','.join(split)} to its command"
        )
        return [Moved("all", old.export, "cells", f"rows split by {', '.join(split)}", why)]
    changes = []
    for labels in dict.fromkeys([*old.cells, *new.cells]):
        before, after = old.cells.get(labels), new.cells.get(labels)
        key = (before and before.key) or (after and after.key) or old.export
        if before is None or after is None:
            why = "no run is left" if after is None else "there was no run"
            changes.append(Moved(labels, key, _shown(before), _shown(after), _why_gone(old, new, why)))
        elif before.fields != after.fields or before.checksum != after.checksum:
            names = [name for name in after.fields if before.fields.get(name) != after.fields[name]] or [""]
            texts = (_shown(before, names), _shown(after, names))
            changes.append(Moved(labels, key, *texts, _why(old, new, before, after, recorded, now)))
    if not changes and old.beside != new.beside:
        why = EDITED if old.export == new.export else "what it says of the runs changed"
        changes.append(Moved(BESIDE, old.export, _ends(old.beside, new.beside), _ends(new.beside, old.beside), why))
    return changes


def _why_gone(old: Found, new: Found, why: str) -> str:
    return EDITED if old.export == new.export else why


def _why(
    old: Found, new: Found, before: Seen, after: Seen, recorded: Mapping[str, Any] | None, now: Mapping[str, Any]
) -> str:
    if old.export == new.export:
        return EDITED
    if before.checksum is None or after.checksum is None:
        return "its runs are not told in the file"
    if before.checksum == after.checksum:
        if old.command != new.command:
            return "the command in the file was edited"
        return "its runs and scores are the same, but not what it is compared or shown with"
    details = _differences(_runs(recorded, before.key), _runs(now, after.key)) if recorded else []
    if details:
        return "; ".join(details)
    if before.checksum[:6] == after.checksum[:6]:
        return "scores changed"
    return f"runs added or removed ({before.n}, now {after.n})" if before.n is not None else "runs added or removed"


def _runs(definition: Mapping[str, Any] | None, key: str | None) -> dict[str, Any]:
    """Run id -> score of a cell."""
    place = (key or "").partition(".")[2]
    cell = (definition or {}).get("cells", {}).get(place, {})
    return {run["id"]: run["score"] for run in cell.get("runs", ())}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`score of 1a2b3c 10.0, now 12.0`, `1a2b3c added`: one a run."""
    told = [f"run {id_[:8]} removed" for id_ in before if id_ not in after]
    told += [f"run {id_[:8]} added" for id_ in after if id_ not in before]
    changed = [id_ for id_ in before if id_ in after and before[id_] != after[id_]]
    return told + [f"score of run {id_[:8]} {before[id_]}, now {after[id_]}" for id_ in changed]


def _shown(cell: Seen | None, names: list[str] | None = None) -> str:
    if cell is None:
        return "nothing"
    wanted = names or [name for name in cell.fields if name in ("", "value")]
    return ", ".join(f"{name} {cell.fields.get(name, '')}".strip() for name in wanted)


def _ends(text: str, other: str) -> str:
    """The part of a text in which it differs from another, with a few words around."""
    words, others = text.split(), other.split()
    start = next(
        (i for i, (a, b) in enumerate(zip(words, others, strict=False)) if a != b), min(len(words), len(others))
    )
    return " ".join(words[max(0, start - 2) : start + 6]) or "nothing"
