"""A root is pinned for a partner in one role.

A root that was pinned before stays pinned for the roles that the ledger proves: as an issuer's if its invitation was
taken in, which recorded its broker; as a requester's if a certificate was issued on an invitation of ours, whose proof
covers the root. What neither proves is not pinned any more: the partner needs an invitation.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    Text,
    column,
    select,
    table,
)

revision = "0002"
down_revision = "0001"

Words = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")
Moment = Number

_PARTNERS = table("partners", column("name"), column("broker"))
_INVITATIONS = table("invitations", column("partner"), column("consumed_by"))
_TRANSACTIONS = table("transactions", column("id"), column("partner"), column("role"), column("serial"))
_ANCHORS = table("anchors", column("partner"), column("fingerprint"), column("certificate"), column("pinned_at"))


def upgrade() -> None:
    """Make the table anew, with what is proven."""
    link = op.get_bind()
    before = link.execute(select(_ANCHORS)).mappings().all()
    proven = {"issuer": _issuers(link), "requester": _requesters(link)}
    op.drop_table("anchors")
    anchors = op.create_table(
        "anchors",
        Column("partner", Words, ForeignKey("partners.name"), primary_key=True),
        Column("acts_as", Words, primary_key=True),
        Column("fingerprint", Words, primary_key=True),
        Column("certificate", LargeBinary),
        Column("pinned_at", Moment, nullable=False),
        sqlite_strict=True,
    )
    kept = [{**row, "acts_as": role} for row in before for role, names in proven.items() if row["partner"] in names]
    op.bulk_insert(anchors, kept)


def _issuers(link: Connection) -> set[str]:
    return set(link.scalars(select(_PARTNERS.c.name).where(_PARTNERS.c.broker.is_not(None))))


def _requesters(link: Connection) -> set[str]:
    i, t = _INVITATIONS.c, _TRANSACTIONS.c
    same = (t.id == i.consumed_by) & (t.partner == i.partner)
    granted = (t.role == "issuer") & t.serial.is_not(None)
    return set(link.scalars(select(i.partner).select_from(_INVITATIONS.join(_TRANSACTIONS, same)).where(granted)))
