"""What was said in a transaction, from the exact bytes that the ledger keeps; verified before they were kept."""

from __future__ import annotations

from typing import TypeVar

from agents.core.effects import TransactionKey
from agents.ports import Ledger
from protocol.envelope import reread
from protocol.messages import EnrollmentAcknowledgement, EnrollmentReply, EnrollmentRequest, Issued

Body = TypeVar("Body", EnrollmentRequest, EnrollmentReply, EnrollmentAcknowledgement)


def last_said(ledger: Ledger, key: TransactionKey, kind: type[Body]) -> Body | None:
    """The latest message of one kind, None if there is none. Raises `LedgerUnavailableError`."""
    kept = ledger.message(key, kind.model_fields["type"].default)
    body = reread(kept.body).body if kept else None
    return body if isinstance(body, kind) else None


def asked(ledger: Ledger, key: TransactionKey) -> EnrollmentRequest:
    """The request that began a transaction, as it was sent. Raises `LedgerUnavailableError`."""
    request = last_said(ledger, key, EnrollmentRequest)
    if request is None:
        raise TypeError(f"the ledger holds no request for transaction {key.id}")
    return request


def granted(ledger: Ledger, key: TransactionKey) -> Issued | None:
    """The issuer's answer if its latest one is a certificate. Raises `LedgerUnavailableError`."""
    reply = last_said(ledger, key, EnrollmentReply)
    return reply.result if reply and isinstance(reply.result, Issued) else None
