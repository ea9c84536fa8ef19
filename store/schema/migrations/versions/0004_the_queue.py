"""The queue: what a run computes, who works on it, which sweeps it belongs to, and who works."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Text

revision = "0004"
down_revision = "0003"

_INT = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("run", Column("configuration", String))
    op.add_column("run", Column("attempts", _INT, nullable=False, server_default="0"))
    op.add_column("run", Column("worker_id", String))
    op.add_column("run", Column("group_id", String))
    op.add_column("run", Column("group_size", _INT))
    op.create_index("run_by_status", "run", ["status"])
    op.create_index("run_by_configuration", "run", ["configuration"])
    op.add_column("sweep", Column("state", String, nullable=False, server_default="active"))
    op.create_table(
        "sweep_run",
        Column("sweep_id", String, ForeignKey("sweep.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        Column("run_id", String, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        Column("position", _INT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sweep_run_by_run", "sweep_run", ["run_id"])
    op.create_table(
        "worker",
        Column("id", String, primary_key=True),
        Column("host", String, nullable=False),
        Column("pid", _INT, nullable=False),
        Column("jobs", _INT, nullable=False),
        Column("sweep", Text),
        Column("started_at", String, nullable=False),
        Column("heartbeat_at", String, nullable=False),
        Column("ended_at", String),
        Column("message", Text),
    )
    op.execute(
        "INSERT INTO sweep_run (sweep_id, run_id, position) "
        "SELECT sweep_id, id, ROW_NUMBER() OVER (PARTITION BY sweep_id ORDER BY created_at, id) - 1 "
        "FROM run WHERE sweep_id IS NOT NULL"
    )
