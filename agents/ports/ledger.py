"""The ledger: what it has on record, and how it is asked and written to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agents.core.effects import TransactionKey, Unit
from protocol.broker import BrokerAddress
from protocol.errors import Problem
from protocol.messages import Endpoint
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """A partner's trust anchor, good where the partner `acts_as` this: pinned by fingerprint, with its certificate
    (DER) once that was seen."""

    acts_as: Role
    fingerprint: Fingerprint
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class PartnerRecord:
    """A partner as this agent knows it."""

    name: OrganisationName
    agreed: bool
    broker: BrokerAddress | None
    endpoint: Endpoint | None
    anchors: tuple[AnchorRecord, ...]

    def pinned_as(self, role: Role) -> frozenset[Fingerprint]:
        """The roots that are good where the partner acts as `role`."""
        return frozenset(anchor.fingerprint for anchor in self.anchors if anchor.acts_as is role)

    def certificates_as(self, role: Role) -> tuple[bytes, ...]:
        """Their certificates (DER), as far as they have been seen."""
        return tuple(one.certificate for one in self.anchors if one.acts_as is role and one.certificate)


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation that we made; `proof_key` never leaves the process."""

    id: InvitationId
    partner: OrganisationName
    proof_key: bytes
    expires_at: datetime
    consumed_by: TransactionId | None
    withdrawn_at: datetime | None

    def __repr__(self) -> str:
        return f"InvitationRecord(id={self.id!r}, partner={self.partner!r}, consumed_by={self.consumed_by!r})"


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction as recorded."""

    key: TransactionKey
    state: State
    request_digest: Fingerprint
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    names: tuple[str, ...]
    serial: SerialNumber | None
    problems: tuple[Problem, ...]
    key_path: str | None
    invitation: InvitationId | None
    """Of a request of ours: whose proof it carries."""
    approval: bool | None
    """The operator's word on a pending one: True approve, False deny, None nothing yet."""
    approval_reason: str | None


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate that we issued or hold."""

    serial: SerialNumber
    issuer: OrganisationName
    subject: OrganisationName
    transaction: TransactionId
    certificate: bytes
    public_key: Fingerprint
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None
    shown_at: datetime | None
    """When its holder first showed it on our channel."""


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """A sealed message that waits for the broker's confirm, oldest first by `sequence`; it leaves through the virtual
    host of `issuer`."""

    sequence: int
    key: TransactionKey
    type: str
    body: bytes
    issuer: OrganisationName


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The last channel session with a partner; `we_saw` and `partner_saw` are JSON of `PeerView`."""

    partner: OrganisationName
    at: datetime
    we_saw: str | None
    partner_saw: str | None


@dataclass(frozen=True, slots=True)
class BacklogRecord:
    """How many messages wait to leave, and how many held requests for an operator's word."""

    to_leave: int
    for_approval: int


class Ledger(Protocol):
    """The durable record of decisions, certificates and messages. Every method may raise `LedgerUnavailableError`;
    several processes may use one ledger."""

    def commit(self, units: Sequence[Unit]) -> tuple[bool, ...]:
        """Record the units in one durable transaction, in order. For each, whether it was recorded: False means that it
        conflicts with what is recorded (see the effects) and has left no trace, while the others are recorded."""

    def partner(self, name: OrganisationName) -> PartnerRecord | None:
        """What is known of a partner."""

    def partners(self) -> tuple[PartnerRecord, ...]:
        """All partners, by name."""

    def invitations(self, ids: Collection[InvitationId]) -> dict[InvitationId, InvitationRecord]:
        """Those of `ids` that exist."""

    def open_invitations(self, partner: OrganisationName, at: datetime) -> tuple[InvitationRecord, ...]:
        """Those of a partner that could be used at a time, oldest first."""

    def transactions(self, keys: Collection[TransactionKey]) -> dict[TransactionKey, TransactionRecord]:
        """Those of `keys` that exist."""

    def list_transactions(
        self,
        role: Role | None = None,
        states: Collection[State] | None = None,
        limit: int = 1000,
        *,
        partner: OrganisationName | None = None,
    ) -> tuple[TransactionRecord, ...]:
        """Transactions in the order of creation, newest first, filtered where a filter is given: for people."""

    def begun_with(self, invitation: InvitationId) -> tuple[TransactionRecord, ...]:
        """Our requests that carry the proof of an invitation, newest first."""

    def next_transactions(  # noqa: PLR0913 - one filter each
        self,
        role: Role,
        states: Collection[State],
        limit: int,
        after: TransactionRecord | None = None,
        *,
        partner: OrganisationName | None = None,
        decided: bool | None = None,
        updated_before: datetime | None = None,
        expires_before: datetime | None = None,
    ) -> tuple[TransactionRecord, ...]:
        """Transactions in the order of creation, oldest first, those that follow `after` in it: for work that must come
        to all of them. Filtered where a filter is given; `decided` asks whether an operator's word is recorded."""

    def unacknowledged(
        self, issuer: OrganisationName, created_after: datetime, limit: int, after: TransactionRecord | None = None
    ) -> tuple[TransactionRecord, ...]:
        """Our transactions as a requester of `issuer`, created after a time, whose confirmation is stored and has no
        acknowledgement on record. In the order of creation, oldest first, those that follow `after` in it."""

    def message(self, key: TransactionKey, type: str) -> OutboxRecord | None:
        """The latest stored message of this type in a transaction, incoming or outgoing."""

    def outbox(
        self, issuer: OrganisationName, limit: int, after: int = 0, *, stored_before: datetime | None = None
    ) -> tuple[OutboxRecord, ...]:
        """Outgoing messages through the virtual host of `issuer` that are not marked published, with a sequence above
        `after`, oldest first; only those stored before a time if one is given."""

    def certificate(self, issuer: OrganisationName, serial: SerialNumber) -> CertificateRecord | None:
        """One certificate."""

    def certificates(self, subject: OrganisationName | None = None, limit: int = 1000) -> tuple[CertificateRecord, ...]:
        """Certificates, newest first, those of one subject if one is given: for people."""

    def key_holders(self, public_keys: Collection[Fingerprint]) -> dict[Fingerprint, frozenset[OrganisationName]]:
        """Which organisations hold certificates for these public keys; a key without one is absent."""

    def last_session(self, partner: OrganisationName) -> SessionRecord | None:
        """The latest channel session with a partner."""

    def backlog(self, now: datetime) -> BacklogRecord:
        """How much waits at `now`; what has expired waits for nobody's word."""

    def quarantine_count(self) -> int:
        """How many unusable messages are kept."""

    def close(self) -> None:
        """Give back what is held open."""
