"""What the services need of the world, as protocols: each has adapters under `agents.adapters` and one contract suite.

Nothing of a library's shows here. Adapters translate library errors into those of `agents.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agents.core.effects import TransactionKey, Unit
from agents.core.policy import Approved
from protocol.errors import Problem
from protocol.messages import ChannelStatement, Endpoint, PeerView
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State


class Clock(Protocol):
    """The only source of the time."""

    def now(self) -> datetime:
        """The time: aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""


class Entropy(Protocol):
    """The only source of randomness outside the cryptography library."""

    def serial_number(self) -> SerialNumber:
        """159 random bits, never zero (RFC 5280 section 4.1.2.2)."""

    def transaction_id(self, now: datetime) -> TransactionId:
        """A UUID of version 7 for `now` (RFC 9562 section 5.7): ids grow with time, so ledgers stay fast."""

    def invitation_id(self) -> InvitationId:
        """128 random bits."""

    def secret(self) -> bytes:
        """256 random bits."""


# --- the message bus -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One persistent message: published as mandatory to `exchange` with `routing_key`. Properties are hints only."""

    exchange: str
    routing_key: str
    body: bytes
    type: str
    message_id: str
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived. `token` is the adapter's; it goes stale when the link is lost."""

    body: bytes
    redelivered: bool
    token: object


class PublishOutcome(StrEnum):
    """What the broker said. `returned`: no queue is bound for it. `nacked`: its queue cannot take it now. `refused`:
    not as it is, or not from us. `unknown` is no failure: it may be in the queue (publish again, deduplicate)."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    NACKED = "nacked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Publication(Protocol):
    """Messages on their way to the broker."""

    def done(self) -> bool:
        """Whether every outcome is known."""

    def outcomes(self) -> tuple[PublishOutcome, ...]:
        """One outcome per message, in order; waits until each is known or its confirm deadline passed (`unknown`)."""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """The state of one link to the broker, for people: connected or not, blocked by an alarm, what went wrong last and
    when, over or not."""

    connected: bool
    blocked: str | None
    last_error: str | None
    since: datetime
    last_error_at: datetime | None = None


class Bus(Protocol):
    """One link: consumes one queue and publishes, in one virtual host. Safe to call from several threads.

    It connects, and connects again, by itself for as long as it is open.
    """

    def publish(self, messages: Sequence[Outgoing]) -> Publication:
        """Hand messages over; returns at once. While there is no connection, or the broker is blocked, they wait until
        their confirm deadline."""

    def receive(self, limit: int, timeout: float) -> tuple[Delivery, ...]:
        """What has arrived, at most `limit`; waits up to `timeout` seconds for the first, never for more."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove messages from the queue. Stale ones are skipped: the broker delivers them again."""

    def dead_letter(self, delivery: Delivery) -> None:
        """Reject without requeueing: the broker moves the message to the dead-letter queue."""

    def suspend(self, seconds: float) -> None:
        """Stop consuming for a while and give back what was delivered (a local fault: ledger down, disk full)."""

    def wait_connected(self, timeout: float) -> bool:
        """Whether the link is up, waiting for it up to `timeout` seconds."""

    def health(self) -> LinkHealth:
        """The state of the link now."""

    def close(self, grace: float) -> None:
        """Close within `grace` seconds, or abort. Unacknowledged messages go back to the queue."""


# --- the ledger ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """A partner's trust anchor: pinned by fingerprint, with its certificate (DER) once that was seen."""

    fingerprint: Fingerprint
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class PartnerRecord:
    """A partner as this agent knows it."""

    name: OrganisationName
    agreed: bool
    broker: str | None
    endpoint: Endpoint | None
    anchors: tuple[AnchorRecord, ...]


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation that we made; `proof_key` never leaves the process."""

    id: InvitationId
    partner: OrganisationName
    proof_key: bytes
    expires_at: datetime
    consumed_by: TransactionId | None

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


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """A sealed message that waits for the broker's confirm, oldest first by `sequence`."""

    sequence: int
    key: TransactionKey
    type: str
    body: bytes
    link: OrganisationName


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The last channel session with a partner; `we_saw` and `partner_saw` are JSON of `PeerView`."""

    partner: OrganisationName
    at: datetime
    we_saw: str | None
    partner_saw: str | None


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

    def message(self, key: TransactionKey, type: str) -> OutboxRecord | None:
        """The latest stored message of this type in a transaction, incoming or outgoing."""

    def outbox(
        self, link: OrganisationName, limit: int, after: int = 0, *, stored_before: datetime | None = None
    ) -> tuple[OutboxRecord, ...]:
        """Outgoing messages of a link that are not marked published, with a sequence above `after`, oldest first; only
        those stored before a time if one is given."""

    def certificate(self, issuer: OrganisationName, serial: SerialNumber) -> CertificateRecord | None:
        """One certificate."""

    def certificates(self, subject: OrganisationName | None = None) -> tuple[CertificateRecord, ...]:
        """All certificates, newest first, or those of one subject."""

    def key_holders(self, public_keys: Collection[Fingerprint]) -> dict[Fingerprint, frozenset[OrganisationName]]:
        """Which organisations hold certificates for these public keys; a key without one is absent."""

    def last_session(self, partner: OrganisationName) -> SessionRecord | None:
        """The latest channel session with a partner."""

    def quarantine_count(self) -> int:
        """How many unusable messages are kept."""

    def close(self) -> None:
        """Give back what is held open."""


# --- keys and signatures ---------------------------------------------------------------------------------------------


class CertificateSigner(Protocol):
    """The one door to the issuing CA's key."""

    def issue(self, approved: Approved, serial: SerialNumber) -> bytes:
        """The signed certificate, DER, exactly as approved. Raises `ProtocolError` for what the CA may not certify."""

    def certificate(self) -> bytes:
        """The issuing CA's certificate, DER."""

    def chain(self) -> tuple[bytes, ...]:
        """The chain above an issued certificate without the root, leaf's issuer first; empty if the root issues."""

    def trust_bundle(self) -> tuple[bytes, ...]:
        """Our trust anchors, DER."""


# --- the channel -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChannelCredential:
    """PEM files that one end of a channel shows: leaf-first chain without root, and its unencrypted PKCS#8 key."""

    chain_path: str
    key_path: str


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """A channel that both ends have looked at: what we saw of the partner, what the partner says it saw of us."""

    partner: OrganisationName
    we_saw: PeerView
    partner_saw: PeerView
    handshake_seconds: float


class ChannelDialer(Protocol):
    """Opens channels to partners."""

    def dial(
        self,
        endpoint: Endpoint,
        credential: ChannelCredential,
        anchors: Sequence[bytes],
        us: OrganisationName,
        partner: OrganisationName,
        now: datetime,
    ) -> ChannelReport:
        """Open a channel, validate the partner's path to `anchors` (DER), purpose and name, exchange statements, close.

        Raises `UnreachableError` (no connection, refused, timed out: worth trying again) or `NotVerifiedError`
        (connected, but what was seen is not what must be seen), each saying what to do.
        """


Admission = Callable[[bytes], OrganisationName]
"""Given the verified client certificate (DER): the partner whose it is in our records. Raises `ProtocolError`."""

SessionSink = Callable[[ChannelStatement | None, PeerView, OrganisationName], None]
"""Told of each session: the partner's statement (None if it made none), what we saw, and the admitted partner."""


class ChannelListener(Protocol):
    """Serves channels on a thread of its own; one bad client costs no other client anything."""

    def start(self) -> Endpoint:
        """Prove that a connection without a certificate is refused, then listen. Returns the bound address.
        Raises `StateError` (self-test failed, credential unusable) or `ConfigurationError` (address in use)."""

    def close(self, grace: float) -> None:
        """Stop listening; open exchanges get `grace` seconds."""


class Crew(Protocol):
    """Issuer processes beside the daemon's own."""

    wanted: int
    """How many there should be."""
    running: int
    """How many the last `tend` found: fewer than wanted as long as one ends again and again, or cannot be started."""

    def tend(self) -> None:
        """Start whoever is missing. Raises `OSError`."""

    def stop(self, grace: float) -> None:
        """End them all within `grace` seconds each, or kill them."""


# --- what people read ------------------------------------------------------------------------------------------------


class Log(Protocol):
    """A structured log: an event in a few words, and fields. Never given a secret."""

    def bind(self, **fields: object) -> Log:
        """The same log, whose lines all carry `fields`."""

    def debug(self, event: str, **fields: object) -> object:
        """For whoever looks for a fault."""

    def info(self, event: str, **fields: object) -> object:
        """Something happened as it should."""

    def warning(self, event: str, **fields: object) -> object:
        """Something needs watching; the agent goes on."""

    def error(self, event: str, **fields: object) -> object:
        """Something needs the operator; `fix` says what to do."""

    def exception(self, event: str, **fields: object) -> object:
        """A fault in the program: as `error`, with the traceback of the exception that is being handled."""


# --- credentials on disk ---------------------------------------------------------------------------------------------


class CredentialStore(Protocol):
    """The credentials that we hold, one directory per issuer; `current` is the one in use. Raises `StateError`."""

    def stage(
        self,
        issuer: OrganisationName,
        serial: SerialNumber,
        certificate: bytes,
        chain: Sequence[bytes],
        anchors: Sequence[bytes],
        key_path: str | None,
    ) -> None:
        """Write the files of a credential (all DER in, PEM out) beside the current one: complete or not at all, and
        idempotent. `key_path` is relative to the home; None for a key kept elsewhere."""

    def activate(self, issuer: OrganisationName, serial: SerialNumber) -> None:
        """Make a staged credential the current one, in one atomic step. Idempotent."""

    def withdraw(self, issuer: OrganisationName, serial: SerialNumber, instead: Sequence[SerialNumber]) -> None:
        """If this credential is the current one, make the first of `instead` that is staged the current one in its
        place, or none; in one atomic step. Idempotent."""

    def credential(self, issuer: OrganisationName, serial: SerialNumber | None = None) -> ChannelCredential | None:
        """The staged credential with this serial, or the current one; None if there is none."""
