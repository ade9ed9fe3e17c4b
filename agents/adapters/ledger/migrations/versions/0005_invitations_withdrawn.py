"""When an invitation was withdrawn, and which ones a partner has."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer

revision = "0005"
down_revision = "0004"

Moment = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("invitations", Column("withdrawn_at", Moment))
    op.create_index("invitations_by_partner", "invitations", ["partner", "created_at"])
