"""Runs, what they were asked for, and every row that they leave."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Integer, String, Text

revision = "0001"
down_revision = None

_INT = BigInteger().with_variant(Integer(), "sqlite")


def _of_run(*, primary_key: bool = True) -> "Column[str]":
    return Column("run_id", String, ForeignKey("run.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


def upgrade() -> None:
    op.create_table(
        "run",
        Column("id", String, primary_key=True),
        Column("kind", String, nullable=False),
        Column("algo", String, nullable=False),
        Column("env", String, nullable=False),
        Column("seed", _INT, nullable=False),
        Column("status", String, nullable=False),
        Column("reason", Text),
        Column("exactness", String, nullable=False),
        Column("steps", _INT, nullable=False),
        Column("step", _INT, nullable=False),
        Column("wall_time", Float, nullable=False),
        Column("note", Text),
        Column("created_at", String, nullable=False),
        Column("started_at", String),
        Column("ended_at", String),
        Column("heartbeat_at", String),
        Column("command", Text),
        Column("commit", String),
        Column("dirty", Boolean),
        Column("versions", Text),
        Column("host", String),
        Column("pid", _INT),
        Column("processor", String),
        Column("threads", _INT),
        Column("device", String),
        Column("backend", String),
        Column("compiled", Boolean),
    )
    op.create_index("run_by_algo_env", "run", ["algo", "env"])
    op.create_index("run_by_created_at", "run", ["created_at"])
    op.create_table("tag", _of_run(), Column("tag", String, primary_key=True))
    op.create_index("ix_tag_tag", "tag", ["tag"])
    op.create_table(
        "hyperparameter",
        _of_run(),
        Column("name", String, primary_key=True),
        Column("value", Text),
        Column("type", String, nullable=False),
        Column("origin", String, nullable=False),
        Column("symbol", String),
    )
    op.create_index("hyperparameter_by_name", "hyperparameter", ["name", "value"])
    op.create_table(
        "episode",
        _of_run(),
        Column("number", _INT, primary_key=True, autoincrement=False),
        Column("step", _INT, nullable=False),
        Column("return", Float),
        Column("return_kind", String),
        Column("length", _INT, nullable=False),
        Column("wall_time", Float, nullable=False),
        Column("terminated", Boolean, nullable=False),
        Column("truncated", Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "evaluation",
        _of_run(),
        Column("step", _INT, primary_key=True, autoincrement=False),
        Column("actions", String, primary_key=True),
        Column("number", _INT, primary_key=True, autoincrement=False),
        Column("return", Float),
        Column("return_kind", String),
        Column("length", _INT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric",
        _of_run(),
        Column("name", String, primary_key=True),
        Column("step", _INT, primary_key=True, autoincrement=False),
        Column("value", Float),
        Column("value_kind", String),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint",
        _of_run(),
        Column("step", _INT, primary_key=True, autoincrement=False),
        Column("path", Text, nullable=False),
        Column("bytes", _INT, nullable=False),
        Column("sha256", String, nullable=False),
        Column("created_at", String, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        Column("id", _INT, primary_key=True),
        _of_run(primary_key=False),
        Column("created_at", String, nullable=False),
        Column("step", _INT),
        Column("kind", String, nullable=False),
        Column("message", Text, nullable=False),
        Column("data", Text),
    )
    op.create_index("event_by_run", "event", ["run_id"])
