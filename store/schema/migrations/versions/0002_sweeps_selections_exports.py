"""Sweeps, frozen selections and exports; where a run came from."""

from alembic import op
from sqlalchemy import Column, String, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sweep",
        Column("id", String, primary_key=True),
        Column("name", String, nullable=False, unique=True),
        Column("definition", Text, nullable=False),
        Column("created_at", String, nullable=False),
    )
    op.create_table(
        "selection",
        Column("name", String, primary_key=True),
        Column("run_id", String, primary_key=True),
        Column("created_at", String, nullable=False),
    )
    op.create_table(
        "export",
        Column("key", String, primary_key=True),
        Column("created_at", String, nullable=False),
        Column("command", Text, nullable=False),
        Column("definition", Text, nullable=False),
    )
    op.add_column("run", Column("source", Text))
    # Written out, as Alembic would add the foreign key by a statement that SQLite doesn't know; making the table anew
    # instead would delete the rows of all others by their foreign keys.
    op.execute("ALTER TABLE run ADD COLUMN sweep_id VARCHAR REFERENCES sweep (id) ON DELETE SET NULL")
