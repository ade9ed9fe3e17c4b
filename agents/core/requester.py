"""The requester's part of an enrollment, as pure decisions: what is asked and said, and what each step records.

What an issuer's answer means is in `answers`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.core.effects import (
    Audit,
    Effect,
    MarkPublished,
    MoveTransaction,
    OpenTransaction,
    RecordSession,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.errors import AgentError, NotVerifiedError, UnreachableError
from protocol.csr import CertificationRequest
from protocol.envelope import digest
from protocol.errors import Problem, ProblemCode, problem
from protocol.messages import (
    Delivered,
    EnrollmentConfirmation,
    EnrollmentRequest,
    InvitationProof,
    Message,
    PeerView,
    Rejected,
    Verified,
)
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.transaction import Event, Role, State, step

CONFIRMATION_LIFETIME = timedelta(days=7)
"""How long a confirmation may wait in the issuer's queue."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What one organisation asks of another. `lifetime` is what the certificate should live; None leaves it to the
    issuer."""

    id: TransactionId
    requester: OrganisationName
    issuer: OrganisationName
    csr: CertificationRequest
    lifetime: timedelta | None
    created_at: datetime
    expires_at: datetime
    key_path: str | None


def request_message(enrollment: Enrollment, proof: InvitationProof | None) -> Message:
    """The enrollment request, not yet sealed."""
    seconds = int(enrollment.lifetime.total_seconds()) if enrollment.lifetime else None
    return Message(
        sender=enrollment.requester,
        recipient=enrollment.issuer,
        transaction=enrollment.id,
        issued_at=enrollment.created_at,
        expires_at=enrollment.expires_at,
        body=EnrollmentRequest(csr=enrollment.csr.der, invitation=proof, lifetime_seconds=seconds),
    )


def unit_for_created(enrollment: Enrollment, proof: InvitationProof | None, sealed: bytes) -> Unit:
    """What is recorded before anything is sent: the transaction, and the exact bytes that will be sent."""
    key = TransactionKey(Role.REQUESTER, enrollment.issuer, enrollment.id)
    at = enrollment.created_at
    opening = OpenTransaction(
        key=key,
        state=State.CREATED,
        request_digest=digest(sealed),
        created_at=at,
        expires_at=enrollment.expires_at,
        names=tuple(str(name) for name in enrollment.csr.names),
        key_path=enrollment.key_path,
        invitation=proof.id if proof else None,
    )
    message = to_send(key, request_message(enrollment, proof), sealed)
    return Unit((opening, message, Audit(at, "created", key.partner, key.id, f"asking {enrollment.issuer}")))


def to_send(key: TransactionKey, message: Message, sealed: bytes) -> StoreMessage:
    """The exact bytes of a message to an issuer, which leave once they are recorded."""
    return StoreMessage(key, message.body.type, sealed, message.issued_at, outgoing=True, issuer=key.partner)


def unit_for_move(
    key: TransactionKey,
    before: State,
    event: Event,
    now: datetime,
    problems: tuple[Problem, ...] | None = None,
    *extra: Effect,
) -> Unit:
    """One step of the transaction, recorded together with `extra`."""
    after = step(Role.REQUESTER, before, event)
    move = MoveTransaction(key, before, after, now, problems=problems)
    return Unit((move, *extra, Audit(now, after.value, key.partner, key.id, event.value)))


def confirmation_message(
    key: TransactionKey,
    us: OrganisationName,
    certificate: bytes,
    result: Verified | Delivered | Rejected,
    now: datetime,
) -> Message:
    """What became of the certificate, for its issuer."""
    return Message(
        sender=us,
        recipient=key.partner,
        transaction=key.id,
        issued_at=now,
        expires_at=now + CONFIRMATION_LIFETIME,
        body=EnrollmentConfirmation(certificate_digest=Fingerprint.of(certificate), result=result),
    )


def units_for_confirmed(sequences: Sequence[int], requests: Collection[TransactionKey], now: datetime) -> list[Unit]:
    """These messages have left, and with them the requests of these transactions.

    A reply can be quicker than this record of its request's departure: then the move conflicts, rightly, and alone.
    """
    sent = [unit_for_move(key, State.CREATED, Event.PUBLISHED, now) for key in requests]
    return [Unit((MarkPublished(tuple(sequences), now),)), *sent]


def unit_for_verified(
    key: TransactionKey, we_saw: PeerView, partner_saw: PeerView, confirmation: StoreMessage, now: datetime
) -> Unit:
    """A channel on which both ends saw what they must see."""
    session = RecordSession(key.partner, now, we_saw.model_dump_json(), partner_saw.model_dump_json())
    return unit_for_move(key, State.INSTALLED, Event.CHANNEL_VERIFIED, now, None, confirmation, session)


def why_given_up(error: AgentError) -> tuple[Problem, Problem]:
    """Why a certificate is given up: for us, and for its issuer, whom faults and paths of our files do not concern."""
    if isinstance(error, NotVerifiedError | UnreachableError):
        fix = "Compare `agent channel check` on both sides; enroll again once the reason is mended."
        seen = problem(ProblemCode.BAD_CERT_ID, "channel", error, "a channel that both ends verify", fix)
        return seen, seen
    code, wanted = ProblemCode.SYSTEM_FAILURE, "a credential that can be used"
    ours = problem(code, "credential", error, wanted, "Mend this, then enroll again; no other credential is touched.")
    told = problem(code, "credential", "a fault at the requester", wanted, "The requester's operator mends it.")
    return ours, told


def why_abandoned(reason: str) -> Problem:
    """Why this program could not go on with a transaction, for our own operator: the issuer is told nothing."""
    fix = "Enroll again; the credential in use is untouched."
    return problem(ProblemCode.SYSTEM_FAILURE, "credential", reason, "an installed credential", fix)
