"""The issuer's part of an enrollment, as pure decisions: who asks, what the policy says, what is recorded and answered.

Signing and sealing happen between these steps, in `agents.service.answering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from agents.core.effects import (
    Audit,
    ConsumeInvitation,
    Effect,
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
from agents.core.policy import Approved, Context, Held, Policy, Refused, Verdict, evaluate
from protocol.csr import CertificationRequest, parse_csr
from protocol.envelope import Opened
from protocol.errors import EnvelopeError, Problem, ProblemCode, ProtocolError, printable, problem
from protocol.invitation import IssuedInvitation, check_proof
from protocol.messages import (
    NOTE_MAX,
    NOTES_MAX,
    PROBLEMS_MAX,
    Delivered,
    EnrollmentAcknowledgement,
    EnrollmentConfirmation,
    EnrollmentReply,
    EnrollmentRequest,
    Issued,
    Message,
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
class Requester:
    """What we know of an organisation that asks: its pinned roots, and our agreement with it if there is one."""

    name: OrganisationName
    anchors: frozenset[Fingerprint]
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class Case:
    """One request on its way to an answer: what was opened, its exact bytes, and the state that it comes from."""

    opened: Opened
    request: EnrollmentRequest
    sealed: bytes
    csr: CertificationRequest | ProtocolError
    """What is asked for, or why that cannot be said."""
    before: State = State.RECEIVED

    @property
    def key(self) -> TransactionKey:
        """The issuer's transaction that it belongs to."""
        return key_of(self.opened)

    @property
    def held(self) -> bool:
        """Whether it waited for a person. Who asked was proven then."""
        return self.before is State.PENDING

    @property
    def first(self) -> bool:
        """Whether its sender is known by an invitation alone, so that it needs a new one if this request fails."""
        return self.opened.introduced and self.request.invitation is not None


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


def key_of(opened: Opened) -> TransactionKey:
    """The issuer's transaction that a message from a requester belongs to."""
    return TransactionKey(Role.ISSUER, opened.message.sender, opened.message.transaction)


def parse(opened: Opened, sealed: bytes, before: State = State.RECEIVED) -> Case:
    """Read an enrollment request. The cheapest check of its CSR (the size) comes first, proof of possession last."""
    request = opened.message.body
    if not isinstance(request, EnrollmentRequest):
        raise TypeError(f"{request.type} is not an enrollment request")
    try:
        return Case(opened, request, sealed, parse_csr(request.csr), before)
    except ProtocolError as error:
        return Case(opened, request, sealed, error, before)


def authenticate(case: Case, requester: Requester, invitation: IssuedInvitation | None, now: datetime) -> None:
    """Decide whether the sender is who it says: its root is pinned, or it proves that it holds our invitation.

    Raises `ProtocolError` with what the requester's operator should do.
    """
    root, proof, message = Fingerprint.of(case.opened.root), case.request.invitation, case.opened.message
    if requester.anchors and root not in requester.anchors:
        _refuse_other_root(root, requester)
    if proof is not None:
        check_proof(
            proof,
            invitation,
            issuer=message.recipient,
            requester=requester.name,
            root=root,
            transaction=message.transaction,
            now=now,
        )
    elif not requester.anchors:
        _refuse_stranger(requester.name)


def _refuse_other_root(root: Fingerprint, requester: Requester) -> None:
    got = f"an agent identity under the root {root}"
    pinned = f"the root pinned for {requester.name}: {', '.join(sorted(requester.anchors))}"
    fix = (
        "If your root was replaced on purpose, ask the issuer's operator to remove the old one; else check AGENT_HOME."
    )
    raise EnvelopeError(problem(ProblemCode.SIGNER_NOT_TRUSTED, "sender", got, pinned, fix))


def _refuse_stranger(name: OrganisationName) -> None:
    fix = (
        "If a first request of yours is pending, wait until it is granted. Else enroll with an invitation: ask the "
        "issuer's operator for one (`agent invite`)."
    )
    got = f"{name}, which has not enrolled here before"
    raise EnvelopeError(problem(ProblemCode.NOT_AUTHORIZED, "sender", got, "a known partner, or an invitation", fix))


def judge(csr: CertificationRequest, requester: Requester, context: Context) -> Verdict:
    """The verdict on a well-formed request of an authenticated requester. Without an agreement it is a refusal."""
    if requester.policy is None:
        fix = "Ask the issuer's operator to agree on names first (`agent invite`)."
        got = f"a request from {requester.name}"
        return Refused((problem(ProblemCode.NOT_AUTHORIZED, "sender", got, "partners with an agreement", fix),))
    return evaluate(csr, requester.policy, context)


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
    invitation, and a person who denies that request must not have let the wrong root in.

    A root may be pinned by its fingerprint alone: we enrolled there by invitation, and had no answer yet.
    """
    opened = case.opened
    if case.request.invitation is None and not opened.introduced:
        return ()
    return (PinAnchor(case.key.partner, Fingerprint.of(opened.root), opened.root, now),)


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
    stored = StoreMessage(key, case.request.type, case.sealed, now, outgoing=False, link=message.recipient)
    return (opening, stored)


def _outgoing(case: Case, sealed: bytes, now: datetime) -> StoreMessage:
    us = case.opened.message.recipient
    return StoreMessage(case.key, "enrollment.reply", sealed, now, outgoing=True, link=us)


def unit_for_confirmation(
    key: TransactionKey,
    before: State,
    serial: SerialNumber,
    confirmation: EnrollmentConfirmation,
    us: OrganisationName,
    now: datetime,
) -> tuple[Unit | None, State]:
    """What a confirmation of the certificate with `serial` records, and the state after it.

    None to record where the transaction has been confirmed, or has lapsed, before.
    """
    if before is not State.ISSUED:
        return None, before
    match confirmation.result:
        case Verified(seen=seen):
            session = RecordSession(key.partner, now, None, seen.model_dump_json())
            return _close(key, serial, Event.CONFIRMED, now, session)
        case Delivered():
            return _close(key, serial, Event.KEY_ELSEWHERE, now)
        case Rejected():
            return _close(key, serial, Event.REJECTED, now, RevokeCertificate(serial, us, now, Event.REJECTED.value))
        case never:
            assert_never(never)


def unit_for_lapse(key: TransactionKey, serial: SerialNumber, us: OrganisationName, now: datetime) -> Unit:
    """Withdraw a certificate that was not confirmed in time: nobody should be able to use it."""
    withdrawal = RevokeCertificate(serial, us, now, Event.UNCONFIRMED.value)
    return _close(key, serial, Event.UNCONFIRMED, now, withdrawal)[0]


def _close(
    key: TransactionKey, serial: SerialNumber, event: Event, now: datetime, *extra: Effect
) -> tuple[Unit, State]:
    after = step(Role.ISSUER, State.ISSUED, event)
    move = MoveTransaction(key, State.ISSUED, after, now)
    audit = Audit(now, after.value, key.partner, key.id, f"serial {serial}: {event.value}")
    return Unit((move, *extra, audit)), after
