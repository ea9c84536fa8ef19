"""Which run a run extends."""

from alembic import op
from sqlalchemy import Column, String

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("run", Column("parent", String))
