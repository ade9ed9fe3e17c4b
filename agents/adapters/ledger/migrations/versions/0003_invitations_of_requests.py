"""A request of ours is found by the invitation whose proof it carries, and work that waits by role.

Requests from before name no invitation.
"""

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0003"
down_revision = "0002"

Words = Text().with_variant(Text(collation="C"), "postgresql")
_WITH_ONE = text("invitation IS NOT NULL")


def upgrade() -> None:
    """Add the column, and the indexes."""
    op.add_column("transactions", Column("invitation", Words))
    op.create_index(
        "transactions_by_invitation",
        "transactions",
        ["invitation"],
        sqlite_where=_WITH_ONE,
        postgresql_where=_WITH_ONE,
    )
    op.drop_index("transactions_by_state", "transactions")
    op.create_index("transactions_by_state", "transactions", ["role", "state", "created_at"])
