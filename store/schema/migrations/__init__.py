"""The schema's history, one file per revision in versions/. This package imports Alembic: import it late."""

from __future__ import annotations

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def scripts() -> ScriptDirectory:
    """The revisions as Alembic sees them."""
    return ScriptDirectory(Path(__file__).parent)


def migrate(connection: Connection, target: str) -> None:
    """Upgrade to revision `target`, inside the transaction of `connection`, which the caller commits."""
    context = MigrationContext.configure(connection)
    history = scripts()
    steps = list(history.iterate_revisions(target, context.get_current_revision()))
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(history, step.revision)
