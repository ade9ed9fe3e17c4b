"""The tables, as the newest migration leaves them. `migrations` makes them; a test holds the two to each other.

Times are integer microseconds since 1970 UTC: both databases compare and index them as they are. Exact message bytes
and certificates stay out of the trees that are searched by id. What two databases must not do differently is said
here: text is compared by code point, and SQLite checks types.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

REVISION = "0006"
"""The migration that leaves the tables as they are written here."""

Words = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")
Moment = Number
Flag = Boolean().with_variant(Integer(), "sqlite")

metadata = MetaData()


def _table(name: str, *columns: Any, **options: Any) -> Table:
    return Table(name, metadata, *columns, sqlite_strict=True, **options)


partners = _table(
    "partners",
    Column("name", Words, primary_key=True),
    Column("agreed", Flag),
    Column("broker", Words),
    Column("endpoint_host", Words),
    Column("endpoint_port", Number),
    Column("updated_at", Moment, nullable=False),
)

anchors = _table(
    "anchors",
    Column("partner", Words, ForeignKey("partners.name"), primary_key=True),
    Column("acts_as", Words, primary_key=True),
    Column("fingerprint", Words, primary_key=True),
    Column("certificate", LargeBinary),
    Column("pinned_at", Moment, nullable=False),
)

invitations = _table(
    "invitations",
    Column("id", Words, primary_key=True),
    Column("partner", Words, nullable=False),
    # Kept after use: a repeated request of the same transaction must still be checkable.
    Column("proof_key", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("consumed_by", Words),
    Column("consumed_at", Moment),
    Column("withdrawn_at", Moment),
    Index("invitations_by_partner", "partner", "created_at"),
)

# The id comes first in the key: ids grow with time (UUIDv7), so new rows go to the end of the tree, and an id alone
# finds its transactions.
transactions = _table(
    "transactions",
    Column("id", Words, primary_key=True),
    Column("partner", Words, primary_key=True),
    Column("role", Words, primary_key=True),
    Column("state", Words, nullable=False),
    Column("request_digest", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("names", Words, nullable=False),
    Column("serial", Words),
    Column("problems", Words, nullable=False),
    Column("key_path", Words),
    Column("approval", Flag),
    Column("approval_reason", Words),
    Column("invitation", Words),
    Index("transactions_by_creation", "created_at"),
    Index("transactions_by_state", "role", "state", "created_at"),
    Index(
        "transactions_by_invitation",
        "invitation",
        sqlite_where=text("invitation IS NOT NULL"),
        postgresql_where=text("invitation IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Exact sealed bytes, never changed. Sequences are given out by the ledger, in the order of commits. The `link` of a
# message, here and below, is the issuer whose virtual host it travels through.
messages = _table(
    "messages",
    Column("sequence", Number, primary_key=True, autoincrement=False),
    Column("transaction_id", Words, nullable=False),
    Column("partner", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("type", Words, nullable=False),
    Column("link", Words, nullable=False),
    Column("outgoing", Flag, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("messages_by_transaction", "transaction_id", "partner", "role", "type", "sequence"),
)

# One small row for each outgoing message, so that marking one published does not write its bytes again.
publications = _table(
    "publications",
    Column("sequence", Number, ForeignKey("messages.sequence"), primary_key=True, autoincrement=False),
    Column("link", Words, nullable=False),
    Column("published_at", Moment),
    Index(
        "outbox",
        "link",
        "sequence",
        sqlite_where=text("published_at IS NULL"),
        postgresql_where=text("published_at IS NULL"),
    ),
)

certificates = _table(
    "certificates",
    Column("sequence", Number, Identity(), primary_key=True),
    Column("issuer", Words, nullable=False),
    Column("serial", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("transaction_id", Words, nullable=False),
    Column("public_key", Words, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("not_after", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("revocation_reason", Words),
    Column("certificate", LargeBinary, nullable=False),
    Column("shown_at", Moment),
    Index("certificates_by_serial", "issuer", "serial", unique=True),
    Index("certificates_by_subject", "subject", "sequence"),
    Index("certificates_by_public_key", "public_key", "subject"),
)

sessions = _table(
    "sessions",
    Column("partner", Words, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("we_saw", Words),
    Column("partner_saw", Words),
)

quarantine = _table(
    "quarantine",
    Column("sequence", Number, Identity(), primary_key=True),
    Column("link", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("reason", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

audit = _table(
    "audit",
    Column("sequence", Number, Identity(), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("event", Words, nullable=False),
    Column("partner", Words),
    Column("transaction_id", Words),
    Column("detail", Words, nullable=False),
)
