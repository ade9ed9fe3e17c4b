"""The first tables."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Integer, LargeBinary, Text, text

revision = "0001"
down_revision = None

Words = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")
Moment = Number
Flag = Boolean().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _partners_and_invitations()
    _transactions()
    _messages()
    _certificates()
    _records_for_people()


def _partners_and_invitations() -> None:
    op.create_table(
        "partners",
        Column("name", Words, primary_key=True),
        Column("agreed", Flag),
        Column("broker", Words),
        Column("endpoint_host", Words),
        Column("endpoint_port", Number),
        Column("updated_at", Moment, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "anchors",
        Column("partner", Words, ForeignKey("partners.name"), primary_key=True),
        Column("fingerprint", Words, primary_key=True),
        Column("certificate", LargeBinary),
        Column("pinned_at", Moment, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "invitations",
        Column("id", Words, primary_key=True),
        Column("partner", Words, nullable=False),
        Column("proof_key", LargeBinary, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("expires_at", Moment, nullable=False),
        Column("consumed_by", Words),
        Column("consumed_at", Moment),
        sqlite_strict=True,
    )


def _transactions() -> None:
    op.create_table(
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
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("transactions_by_creation", "transactions", ["created_at"])
    op.create_index("transactions_by_state", "transactions", ["state", "created_at"])


def _messages() -> None:
    op.create_table(
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
        sqlite_strict=True,
    )
    op.create_index("messages_by_transaction", "messages", ["transaction_id", "partner", "role", "type", "sequence"])
    op.create_table(
        "publications",
        Column("sequence", Number, ForeignKey("messages.sequence"), primary_key=True, autoincrement=False),
        Column("link", Words, nullable=False),
        Column("published_at", Moment),
        sqlite_strict=True,
    )
    op.create_index(
        "outbox",
        "publications",
        ["link", "sequence"],
        sqlite_where=text("published_at IS NULL"),
        postgresql_where=text("published_at IS NULL"),
    )


def _certificates() -> None:
    op.create_table(
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
        sqlite_strict=True,
    )
    op.create_index("certificates_by_serial", "certificates", ["issuer", "serial"], unique=True)
    op.create_index("certificates_by_subject", "certificates", ["subject", "sequence"])
    op.create_index("certificates_by_public_key", "certificates", ["public_key", "subject"])


def _records_for_people() -> None:
    op.create_table(
        "sessions",
        Column("partner", Words, primary_key=True),
        Column("at", Moment, nullable=False),
        Column("we_saw", Words),
        Column("partner_saw", Words),
        sqlite_strict=True,
    )
    op.create_table(
        "quarantine",
        Column("sequence", Number, Identity(), primary_key=True),
        Column("link", Words, nullable=False),
        Column("at", Moment, nullable=False),
        Column("reason", Words, nullable=False),
        Column("body", LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "audit",
        Column("sequence", Number, Identity(), primary_key=True),
        Column("at", Moment, nullable=False),
        Column("event", Words, nullable=False),
        Column("partner", Words),
        Column("transaction_id", Words),
        Column("detail", Words, nullable=False),
        sqlite_strict=True,
    )
