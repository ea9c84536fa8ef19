"""What the user says of runs that exist already: tuning or reporting, tags, a note. Every change leaves an event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from store.errors import RunNotFound
from store.schema.encoding import clean, encode_json, now
from store.schema.models import Event, Run, Tag
from store.session import Database

KINDS = {"train": "reporting", "tuning": "tuning"}
"""The kinds of runs and what they are for: "train" runs give the numbers, "tuning" runs chose the hyperparameters."""


def mark(
    db: Database,
    run_ids: Iterable[str],
    *,
    kind: str | None = None,
    tags: Iterable[str] = (),
    untag: Iterable[str] = (),
    note: str | None = None,
) -> list[str]:
    """Change runs, given by their whole ids, all or none, also while they are being trained; returns those changed.

    `kind` is one of KINDS, `note` replaces the old one ("": none). A run that is as wanted already stays as it is;
    each other gets an event "marked" that says what became of what. RunNotFound.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"no such kind of run: {kind}")
    added, removed = {clean(tag) for tag in tags}, {clean(tag) for tag in untag}
    changed = []
    with db.transaction() as session:
        for run_id in sorted(set(run_ids)):
            run = session.execute(select(Run.kind, Run.note, Run.step).where(Run.id == run_id)).one_or_none()
            if run is None:
                raise RunNotFound(f"no run {run_id!r} in {db.location}: it may have been deleted meanwhile")
            columns: dict[str, Any] = {}
            if kind not in (None, run.kind):
                columns["kind"] = kind
            if note is not None and (clean(note) or None) != run.note:
                columns["note"] = clean(note) or None
            before = {name: getattr(run, name) for name in columns}
            if _change(session, run_id, run.step, before, columns, added, removed):
                changed.append(run_id)
    return changed


def _change(
    session: Session,
    run_id: str,
    step: int,
    before: dict[str, Any],
    columns: dict[str, Any],
    added: set[str],
    removed: set[str],
) -> bool:
    """Whether anything differs: `columns` from `before`, and the tags that the run has."""
    held = set(session.scalars(select(Tag.tag).where(Tag.run_id == run_id)))
    new, old = sorted(added - held), sorted(removed & held)
    if not (columns or new or old):
        return False
    if columns:
        session.execute(update(Run).where(Run.id == run_id).values(columns))
    if new:
        session.execute(insert(Tag), [{"run_id": run_id, "tag": tag} for tag in new])
    if old:
        session.execute(delete(Tag).where(Tag.run_id == run_id, Tag.tag.in_(old)))
    parts = [f"for {KINDS[columns['kind']]}"] if "kind" in columns else []
    parts += [f"tag {tag}" for tag in new] + [f"no longer tag {tag}" for tag in old]
    if "note" in columns:
        parts.append(f"note {columns['note']!r}" if columns["note"] else "no note")
    data: dict[str, Any] = {"tagged": new, "untagged": old}
    data |= {name: {"before": before[name], "after": value} for name, value in columns.items()}
    row = {"run_id": run_id, "created_at": now(), "step": step, "kind": "marked", "message": ", ".join(parts)}
    session.execute(insert(Event).values(**row, data=encode_json(data)))
    return True
