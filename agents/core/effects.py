"""What a decision wants done to the ledger, as frozen values that can be merged, counted and tested.

A `Unit` is atomic: all of its effects are recorded, or none is. A batch of units is one ledger transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from protocol.broker import BrokerAddress
from protocol.errors import Problem
from protocol.messages import Endpoint
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State


@dataclass(frozen=True, slots=True)
class TransactionKey:
    """A transaction is unique by our role in it, the partner and its id: a partner cannot collide with another's."""

    role: Role
    partner: OrganisationName
    id: TransactionId


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """Insert a transaction. Conflicts if the key exists."""

    key: TransactionKey
    state: State
    request_digest: Fingerprint
    """SHA-256 of the sealed request."""
    created_at: datetime
    expires_at: datetime
    """When the request stops being worth an answer (from its envelope)."""
    names: tuple[str, ...] = ()
    serial: SerialNumber | None = None
    problems: tuple[Problem, ...] = ()
    key_path: str | None = None
    """Requester only: where the private key lies, relative to the home; None if it is kept elsewhere."""
    invitation: InvitationId | None = None
    """Requester only: whose proof the request carries."""


@dataclass(frozen=True, slots=True)
class MoveTransaction:
    """Compare and set the state. Conflicts if the transaction is not in `before`. A None leaves a column as it is."""

    key: TransactionKey
    before: State
    after: State
    at: datetime
    serial: SerialNumber | None = None
    problems: tuple[Problem, ...] | None = None


@dataclass(frozen=True, slots=True)
class RecordCertificate:
    """Insert a certificate. Conflicts if the issuer already has the serial. `issuer` is us or the partner."""

    serial: SerialNumber
    issuer: OrganisationName
    subject: OrganisationName
    """The organisation that holds the key."""
    transaction: TransactionId
    certificate: bytes
    public_key: Fingerprint
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class RevokeCertificate:
    """Withdraw a certificate that we issued; admission refuses it from then on.

    The first withdrawal stands: no conflict if withdrawn already. Conflicts if we have no such certificate, so that
    nobody believes it withdrawn.
    """

    serial: SerialNumber
    issuer: OrganisationName
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class MarkShown:
    """A certificate that we issued was shown on our channel by its holder, and admitted. The first time stands."""

    serial: SerialNumber
    issuer: OrganisationName
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordPartner:
    """Insert or update what we know of a partner. A None leaves a column as it is."""

    name: OrganisationName
    at: datetime
    broker: BrokerAddress | None = None
    """Requester only: the issuer's broker, as in its invitation."""
    endpoint: Endpoint | None = None
    agreed: bool | None = None
    """Whether we have an agreement to issue to this partner."""


@dataclass(frozen=True, slots=True)
class PinAnchor:
    """Trust `certificate` (DER, self-signed) or, until it is seen, only its `fingerprint`, for this partner and no
    other, and only where the partner `acts_as` requester or issuer. Idempotent; fills in the certificate of a pinned
    fingerprint. Conflicts if the partner has another anchor in this role."""

    partner: OrganisationName
    acts_as: Role
    fingerprint: Fingerprint
    certificate: bytes | None
    at: datetime


@dataclass(frozen=True, slots=True)
class FillAnchor:
    """Keep the certificate (DER) of an anchor that was pinned by its fingerprint alone. Trusts nothing anew: where the
    anchor is not pinned, be it because it was just removed, this changes nothing."""

    partner: OrganisationName
    acts_as: Role
    certificate: bytes


@dataclass(frozen=True, slots=True)
class UnpinAnchor:
    """Trust this root no longer where the partner `acts_as` requester or issuer. Conflicts if it is not pinned."""

    partner: OrganisationName
    acts_as: Role
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class RecordInvitation:
    """Insert an invitation that we made. `proof_key` is the 32-byte secret behind it."""

    id: InvitationId
    partner: OrganisationName
    proof_key: bytes
    created_at: datetime
    expires_at: datetime

    def __repr__(self) -> str:
        return f"RecordInvitation(id={self.id!r}, partner={self.partner!r})"


@dataclass(frozen=True, slots=True)
class WithdrawInvitations:
    """Let none of this partner's invitations that were made before and are not used be used any more."""

    partner: OrganisationName
    at: datetime


@dataclass(frozen=True, slots=True)
class ConsumeInvitation:
    """Use up an invitation. Conflicts if it is unknown, not this partner's, expired at `at`, withdrawn, or used by
    another transaction."""

    id: InvitationId
    partner: OrganisationName
    transaction: TransactionId
    at: datetime


@dataclass(frozen=True, slots=True)
class StoreMessage:
    """Keep exact sealed bytes. `outgoing` ones are published by the relay of `issuer` until marked published."""

    key: TransactionKey
    type: str
    """Message type, as in `protocol.messages`."""
    body: bytes
    at: datetime
    outgoing: bool
    issuer: OrganisationName
    """Whose virtual host the message travels through."""


@dataclass(frozen=True, slots=True)
class MarkPublished:
    """The broker confirmed these outgoing messages (ledger sequence numbers). Idempotent."""

    sequences: tuple[int, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class MarkSent:
    """The broker confirmed these outgoing messages, each the first of its type in its transaction.

    The issuing pipeline sends no others and names them so, because it does not know their sequence numbers. A later
    message of that type may not have left: a confirm that comes late must not mark that one. Idempotent.
    """

    messages: tuple[tuple[TransactionKey, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class MarkUnpublished:
    """Have the latest outgoing message of this type in this transaction published again."""

    key: TransactionKey
    type: str


@dataclass(frozen=True, slots=True)
class RecordApproval:
    """An operator's word on a pending transaction: approve, or deny for `reason`. Conflicts unless it is pending and
    undecided."""

    key: TransactionKey
    approve: bool
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordSession:
    """A channel session with a partner: what each end saw, as JSON of two `protocol.messages.PeerView`. A None leaves
    what was recorded before."""

    partner: OrganisationName
    at: datetime
    we_saw: str | None
    partner_saw: str | None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep a message that cannot be used, with the reason, for the operator. It came through the virtual host of
    `issuer`."""

    issuer: OrganisationName
    at: datetime
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Audit:
    """One line of the audit trail. `detail` never holds a secret."""

    at: datetime
    event: str
    partner: OrganisationName | None
    transaction: TransactionId | None
    detail: str


Effect = (
    OpenTransaction
    | MoveTransaction
    | RecordCertificate
    | RevokeCertificate
    | MarkShown
    | RecordPartner
    | PinAnchor
    | FillAnchor
    | UnpinAnchor
    | RecordInvitation
    | WithdrawInvitations
    | ConsumeInvitation
    | StoreMessage
    | MarkPublished
    | MarkSent
    | MarkUnpublished
    | RecordApproval
    | RecordSession
    | Quarantine
    | Audit
)


@dataclass(frozen=True, slots=True)
class Unit:
    """Effects that are recorded together or not at all."""

    effects: tuple[Effect, ...]
