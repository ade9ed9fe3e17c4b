"""What an issuer's answer means for a request of ours: whether it fits, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from agents.core.effects import PinAnchor, StoreMessage, TransactionKey, Unit
from agents.core.requester import unit_for_move
from protocol.errors import Problem, ProblemCode, problem
from protocol.messages import EnrollmentAcknowledgement, EnrollmentReply, Message, Pending, Refused
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Event, Role, State, states_before

WAITING = states_before(Role.REQUESTER, Event.GRANTED)
"""States in which an answer is awaited."""

NEVER_ASKED = (
    "an answer to a request that was never made here: does another agent log in at the broker in this name? Each then "
    "takes answers to the other, so stop one of them"
)

SERIAL_TWICE = problem(
    ProblemCode.BAD_CERT_TEMPLATE,
    "certificate",
    "a serial number that another certificate of this issuer has",
    "a new serial number",
    "The issuer must never use a serial number twice (RFC 5280 section 4.1.2.2): mend that, then enroll again.",
)
NOT_JUDGED = problem(
    ProblemCode.SYSTEM_FAILURE,
    "certificate",
    "a certificate that the requester could not judge",
    "a judgement",
    "Nothing is wrong with the certificate: tell the requester's operator, then enroll again.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that came in, as it was opened: what it says, under which root it was signed, its exact bytes."""

    message: Message
    root: bytes
    sealed: bytes

    @property
    def key(self) -> TransactionKey:
        """The transaction of ours that it belongs to, if there is one."""
        return TransactionKey(Role.REQUESTER, self.message.sender, self.message.transaction)

    def kept(self, now: datetime) -> StoreMessage:
        """Its exact bytes, to be recorded with what they mean."""
        issuer = self.message.sender
        return StoreMessage(self.key, self.message.body.type, self.sealed, now, outgoing=False, issuer=issuer)


def why_unusable(
    answer: Answer, issuer: OrganisationName, pinned: Collection[Fingerprint], request_digest: Fingerprint | None
) -> str | None:
    """None for an answer from the issuer that we asked, to the very request that we sent; else what is wrong with it.

    `request_digest` is that of the request on record, None if there is none under the answer's transaction id.
    """
    message, body, root = answer.message, answer.message.body, Fingerprint.of(answer.root)
    if message.sender != issuer:
        return f"a message from {message.sender} in the virtual host of {issuer}"
    if root not in pinned:
        return f"{issuer} signed under the root {root}, but pinned is {', '.join(sorted(pinned)) or 'none'}"
    if not isinstance(body, EnrollmentReply | EnrollmentAcknowledgement):
        return f"a message of type {body.type}, which an issuer does not send"
    if request_digest is None:
        return NEVER_ASKED
    if isinstance(body, EnrollmentReply) and body.request_digest != request_digest:
        return "a reply to another request under the same transaction id"
    return None


def is_awaited(reply: EnrollmentReply, state: State) -> bool:
    """Whether a reply says something new: that a request is held is kept once, however many copies come."""
    return state in WAITING and not (isinstance(reply.result, Pending) and state is State.PENDING)


def is_news(acknowledgement: EnrollmentAcknowledgement, known: EnrollmentAcknowledgement | None) -> bool:
    """Whether it is the first, or withdraws what was acknowledged: two are kept at most, however many come."""
    return known is None or known.state != acknowledgement.state == "lapsed"


def unit_for_no_certificate(answer: Answer, before: State, result: Pending | Refused, now: datetime) -> Unit:
    """What a reply records that brings no certificate. Its root has been seen now, and is kept whole."""
    pin = PinAnchor(answer.message.sender, Role.ISSUER, Fingerprint.of(answer.root), answer.root, now)
    event, problems = (Event.HELD, None) if isinstance(result, Pending) else (Event.DECLINED, result.problems)
    return unit_for_move(answer.key, before, event, now, problems, answer.kept(now), pin)


def unit_for_unacceptable(
    answer: Answer, before: State, problems: tuple[Problem, ...], confirmation: StoreMessage, now: datetime
) -> Unit:
    """What a certificate records that we do not accept: the end of the transaction, and the `confirmation` by which its
    issuer is told why."""
    granted = unit_for_move(answer.key, before, Event.GRANTED, now, None, answer.kept(now))
    failed = unit_for_move(answer.key, State.ISSUED, Event.UNUSABLE, now, problems, confirmation)
    return Unit(granted.effects + failed.effects)
