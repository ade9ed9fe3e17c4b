"""The issuer's part of an enrollment, as pure decisions: what is answered to a case, and what is recorded.

Signing and sealing happen between these steps, in `agents.service.answering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from agents.core.case import Case
from agents.core.effects import (
    Audit,
    ConsumeInvitation,
    Effect,
    MarkShown,
    MoveTransaction,
    OpenTransaction,
    PinAnchor,
    RecordCertificate,
    RecordSession,
    RevokeCertificate,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.core.policy import Approved, Held
from protocol.envelope import Opened
from protocol.errors import Problem, ProblemCode, ProtocolError, printable, problem
from protocol.messages import (
    NOTE_MAX,
    NOTES_MAX,
    PROBLEMS_MAX,
    ChannelStatement,
    Delivered,
    EnrollmentAcknowledgement,
    EnrollmentConfirmation,
    EnrollmentReply,
    Issued,
    Message,
    PeerView,
    Pending,
    Rejected,
    Verified,
)
from protocol.messages import Refused as RefusedReply
from protocol.names import Fingerprint, OrganisationName, SerialNumber
from protocol.transaction import Event, Role, State, step

REPLY_LIFETIME = timedelta(days=7)
"""How long a reply may wait in the requester's queue."""

RENEW_AFTER_SHARE = 2 / 3
"""Share of a certificate's lifetime after which its holder should enroll again."""


@dataclass(frozen=True, slots=True)
class Issuance:
    """A certificate, signed as it was approved, that is not on record yet."""

    approved: Approved
    serial: SerialNumber
    certificate: bytes

    @property
    def notes(self) -> tuple[str, ...]:
        """What was asked for and is not in it, as it is sent: all of it, or the first and how much more there is."""
        notes = self.approved.notes
        if len(notes) > NOTES_MAX:
            notes = (*notes[: NOTES_MAX - 1], f"{len(notes) - NOTES_MAX + 1} more that the certificate does not have")
        return tuple(printable(note, NOTE_MAX) for note in notes)


def refused(problems: tuple[Problem, ...]) -> RefusedReply:
    """The refusal as it is sent: every problem, or the first ones and how many more there are."""
    if len(problems) > PROBLEMS_MAX:
        got = f"{len(problems) - PROBLEMS_MAX + 1} more problems"
        more = problem(ProblemCode.BAD_REQUEST, "csr", got, "none", "Mend the ones listed and ask again.")
        problems = (*problems[: PROBLEMS_MAX - 1], more)
    return RefusedReply(problems=problems)


def reply_to(opened: Opened, result: Issued | Pending | RefusedReply, now: datetime) -> Message:
    """The reply, not yet sealed, to exactly the request that was opened."""
    return _answer(opened.message, EnrollmentReply(request_digest=opened.digest, result=result), now)


def acknowledgement(confirmation: Message, digest: Fingerprint, state: State, now: datetime) -> Message:
    """The answer to a confirmation: the state that we recorded."""
    body = EnrollmentAcknowledgement.model_validate({"certificate_digest": digest, "state": state.value})
    return _answer(confirmation, body, now)


def _answer(message: Message, body: EnrollmentReply | EnrollmentAcknowledgement, now: datetime) -> Message:
    return Message(
        sender=message.recipient,
        recipient=message.sender,
        transaction=message.transaction,
        issued_at=now,
        expires_at=now + REPLY_LIFETIME,
        body=body,
    )


def renew_after(approved: Approved) -> datetime:
    """When the holder of the certificate should enroll again."""
    spec = approved.spec
    return spec.not_before + (spec.not_after - spec.not_before) * RENEW_AFTER_SHARE


def unit_for_issued(case: Case, issuance: Issuance, sealed_reply: bytes, now: datetime) -> Unit:
    """What one issuance records, in one piece: invitation used up, root pinned, certificate, state, exact reply."""
    key, spec, serial = case.key, issuance.approved.spec, issuance.serial
    record = RecordCertificate(
        serial=serial,
        issuer=case.opened.message.recipient,
        subject=key.partner,
        transaction=key.id,
        certificate=issuance.certificate,
        public_key=Fingerprint.of(spec.public_key),
        not_before=spec.not_before,
        not_after=spec.not_after,
    )
    audit = Audit(now, "issued", key.partner, key.id, "; ".join((f"serial {serial}", *issuance.notes)))
    used = () if case.held else _invitation_used(case, now)
    moves = _moves(case, Event.GRANTED, now, serial=serial)
    return Unit((*used, *_root_pinned(case, now), *moves, record, _outgoing(case, sealed_reply, now), audit))


def unit_for_pending(case: Case, held: Held, sealed_reply: bytes, now: datetime) -> Unit:
    """What a held request records; the invitation is used up, so that the held request keeps its right. Its root is not
    pinned before a person has approved it."""
    audit = Audit(now, "held", case.key.partner, case.key.id, held.reason)
    moves = _moves(case, Event.HELD, now)
    return Unit((*_invitation_used(case, now), *moves, _outgoing(case, sealed_reply, now), audit))


def unit_for_refused(case: Case, problems: tuple[Problem, ...], sealed_reply: bytes, now: datetime) -> Unit:
    """What a refusal records. The invitation stays as it was: good for another request, unless this one was held before
    and used it up."""
    audit = Audit(now, "refused", case.key.partner, case.key.id, "; ".join(item.field for item in problems))
    moves = _moves(case, Event.DECLINED, now, problems=problems)
    return Unit((*moves, _outgoing(case, sealed_reply, now), audit))


def _invitation_used(case: Case, now: datetime) -> tuple[Effect, ...]:
    proof = case.request.invitation
    return (ConsumeInvitation(proof.id, case.key.partner, case.key.id, now),) if proof else ()


def _root_pinned(case: Case, now: datetime) -> tuple[Effect, ...]:
    """The requester is known by its root from its first certificate on, and not before: somebody else may hold its
    invitation, and a person who denies that request must not have let the wrong root in."""
    opened = case.opened
    if not opened.introduced:
        return ()
    return (PinAnchor(case.key.partner, Role.REQUESTER, Fingerprint.of(opened.root), opened.root, now),)


def _moves(
    case: Case, event: Event, now: datetime, serial: SerialNumber | None = None, problems: tuple[Problem, ...] = ()
) -> tuple[Effect, ...]:
    """The transaction in its new state, and the request's exact bytes if this is the first that we record of it."""
    key, message = case.key, case.opened.message
    after = step(Role.ISSUER, case.before, event)
    if case.before is not State.RECEIVED:
        return (MoveTransaction(key, case.before, after, now, serial, problems),)
    names = () if isinstance(case.csr, ProtocolError) else tuple(str(name) for name in case.csr.names)
    opening = OpenTransaction(key, after, case.opened.digest, now, message.expires_at, names, serial, problems)
    stored = StoreMessage(key, case.request.type, case.sealed, now, outgoing=False, issuer=message.recipient)
    return (opening, stored)


def _outgoing(case: Case, sealed: bytes, now: datetime) -> StoreMessage:
    us = case.opened.message.recipient
    return StoreMessage(case.key, "enrollment.reply", sealed, now, outgoing=True, issuer=us)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A certificate that we issued, whose transaction is not closed yet."""

    key: TransactionKey
    serial: SerialNumber
    issuer: OrganisationName


def unit_for_confirmation(
    certificate: Unconfirmed, before: State, confirmation: EnrollmentConfirmation, now: datetime, *, shown: bool
) -> tuple[Unit | None, State]:
    """What a confirmation of a certificate records, and the state of the transaction after it.

    `shown` is whether our own channel has admitted that very certificate: the requester's word for it is not enough.

    None to record where the transaction has been confirmed, or has lapsed, before.
    """
    if before is not State.ISSUED:
        return None, before
    match confirmation.result:
        case Verified():
            return _close(certificate, Event.CONFIRMED if shown else Event.UNSEEN, now)
        case Delivered():
            return _close(certificate, Event.KEY_ELSEWHERE, now)
        case Rejected(problem=why):
            return _close(certificate, Event.REJECTED, now, why)
        case never:
            assert_never(never)


def unit_for_lapse(certificate: Unconfirmed, now: datetime) -> Unit:
    """Withdraw a certificate that was not confirmed in time: nobody should be able to use it."""
    return _close(certificate, Event.UNCONFIRMED, now)[0]


def _close(certificate: Unconfirmed, event: Event, now: datetime, *why: Problem) -> tuple[Unit, State]:
    """The end of a transaction; where it lapses, the certificate is withdrawn with it."""
    key, after = certificate.key, step(Role.ISSUER, State.ISSUED, event)
    move = MoveTransaction(key, State.ISSUED, after, now, problems=why or None)
    withdrawal = RevokeCertificate(certificate.serial, certificate.issuer, now, event.value)
    withdrawn = (withdrawal,) if after is State.LAPSED else ()
    detail = "; ".join((f"serial {certificate.serial}: {event.value}", *map(str, why)))
    return Unit((move, *withdrawn, Audit(now, after.value, key.partner, key.id, detail))), after


def unit_for_session(
    statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName, us: OrganisationName, now: datetime
) -> Unit:
    """What a session on our channel records before it is answered: that the admitted certificate was shown, and what
    each end saw, as far as the partner makes a statement."""
    partner_saw = statement.sees.model_dump_json() if statement else None
    session = RecordSession(partner, now, seen.model_dump_json(), partner_saw)
    return Unit((MarkShown(seen.serial, us, now), session))
