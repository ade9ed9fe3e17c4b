"""Where an issuer's broker is, without a path: the virtual host follows from the issuer's name."""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"

_WITH_PATH = text("SELECT name, broker FROM partners WHERE broker LIKE '%://%/%'")
_CUT = text("UPDATE partners SET broker = :broker WHERE name = :name")


def upgrade() -> None:
    """Cut the paths off."""
    ledger = op.get_bind()
    for name, broker in ledger.execute(_WITH_PATH).all():
        scheme, mark, rest = broker.partition("://")
        ledger.execute(_CUT, {"name": name, "broker": f"{scheme}{mark}{rest.partition('/')[0]}"})
