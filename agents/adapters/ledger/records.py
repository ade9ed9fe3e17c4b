"""Rows of the tables as the records of `agents.ports`. A row that cannot be one raises `ValueError`: it is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.adapters.ledger.values import moment, problems, words
from agents.core.effects import TransactionKey
from agents.ports import (
    AnchorRecord,
    CertificateRecord,
    InvitationRecord,
    OutboxRecord,
    PartnerRecord,
    SessionRecord,
    TransactionRecord,
)
from protocol.broker import BrokerAddress
from protocol.messages import Endpoint
from protocol.names import DnsName, Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State

Row = Any
"""A row of SQLAlchemy's, with the columns as attributes."""


def partner_record(rows: Sequence[Row]) -> PartnerRecord:
    """A partner from its rows joined with its anchors: one row for each anchor, or one without."""
    first = rows[0]
    endpoint = None
    if first.endpoint_host is not None:
        endpoint = Endpoint(host=DnsName(first.endpoint_host), port=first.endpoint_port)
    anchors = tuple(anchor_record(row) for row in rows if row.fingerprint is not None)
    broker = None if first.broker is None else BrokerAddress(first.broker)
    return PartnerRecord(OrganisationName(first.name), bool(first.agreed), broker, endpoint, anchors)


def anchor_record(row: Row) -> AnchorRecord:
    """A row of `anchors`."""
    return AnchorRecord(Role(row.acts_as), Fingerprint(row.fingerprint), row.certificate)


def invitation_record(row: Row) -> InvitationRecord:
    """A row of `invitations`."""
    return InvitationRecord(
        id=InvitationId(row.id),
        partner=OrganisationName(row.partner),
        proof_key=row.proof_key,
        expires_at=moment(row.expires_at),
        consumed_by=None if row.consumed_by is None else TransactionId(row.consumed_by),
        withdrawn_at=None if row.withdrawn_at is None else moment(row.withdrawn_at),
    )


def transaction_record(row: Row) -> TransactionRecord:
    """A row of `transactions`."""
    return TransactionRecord(
        key=TransactionKey(Role(row.role), OrganisationName(row.partner), TransactionId(row.id)),
        state=State(row.state),
        request_digest=Fingerprint(row.request_digest),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        expires_at=moment(row.expires_at),
        names=words(row.names),
        serial=None if row.serial is None else SerialNumber(row.serial),
        problems=problems(row.problems),
        key_path=row.key_path,
        invitation=None if row.invitation is None else InvitationId(row.invitation),
        approval=None if row.approval is None else bool(row.approval),
        approval_reason=row.approval_reason,
    )


def outbox_record(row: Row) -> OutboxRecord:
    """A row of `messages`."""
    key = TransactionKey(Role(row.role), OrganisationName(row.partner), TransactionId(row.transaction_id))
    return OutboxRecord(row.sequence, key, row.type, row.body, OrganisationName(row.link))


def certificate_record(row: Row) -> CertificateRecord:
    """A row of `certificates`."""
    return CertificateRecord(
        serial=SerialNumber(row.serial),
        issuer=OrganisationName(row.issuer),
        subject=OrganisationName(row.subject),
        transaction=TransactionId(row.transaction_id),
        certificate=row.certificate,
        public_key=Fingerprint(row.public_key),
        not_before=moment(row.not_before),
        not_after=moment(row.not_after),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
        shown_at=None if row.shown_at is None else moment(row.shown_at),
    )


def session_record(row: Row) -> SessionRecord:
    """A row of `sessions`."""
    return SessionRecord(OrganisationName(row.partner), moment(row.at), row.we_saw, row.partner_saw)
