"""When a certificate was first shown on our channel; of those recorded before, nobody knows."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer

revision = "0004"
down_revision = "0003"

Moment = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Add the column."""
    op.add_column("certificates", Column("shown_at", Moment))
