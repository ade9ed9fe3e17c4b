"""The requester's side of one link: sends what was created, takes what comes back.

Every step is recorded before the next begins, so that a restart goes on where it stopped (docs/ISSUANCE.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from agents.core.effects import PinAnchor, StoreMessage, TransactionKey, Unit
from agents.core.requester import Accepted, accept, confirmation_message, unit_for_issued, unit_for_move
from agents.ports import Bus, TransactionRecord
from agents.service.inbox import Inbox, Letter, Unusable
from agents.service.isolation import Fault, alone
from agents.service.partners import Partners
from agents.service.relay import Relay
from agents.service.repetition import WAITING
from agents.service.stored import asked, last_said
from agents.service.workplace import Workplace
from protocol.csr import parse_csr
from protocol.envelope import Sealer
from protocol.errors import ProblemCode, ProtocolError, problem
from protocol.messages import (
    EnrollmentAcknowledgement,
    EnrollmentReply,
    Issued,
    Pending,
    Refused,
    Rejected,
)
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Event, Role, State

BATCH = 64

_NOT_OURS = (
    "an answer to a request that was never made here: does another agent log in at the broker in this name? Each then "
    "takes answers to the other, so stop one of them"
)


class Requesting:
    """Enrollments with one issuer. Used by one thread."""

    def __init__(self, place: Workplace, issuer: OrganisationName, bus: Bus, sealer: Sealer) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._issuer, self._bus, self._sealer = issuer, bus, sealer
        self._partners = Partners(place, Role.ISSUER)
        self._inbox = Inbox(place, issuer, self._partners)
        self._relay = Relay(place, issuer, bus)
        self._set_aside: str | None = None

    def work(self, timeout: float) -> int:
        """One round: send, then take answers. Returns how many messages came or went.

        Raises `LedgerUnavailableError`, after which the deliveries come again.
        """
        sent = self._relay.flush()
        deliveries = self._bus.receive(BATCH, 0.0 if sent else timeout)
        letters, unusable = self._inbox.open(deliveries)
        for letter in letters:
            outcome = alone(partial(self._take, letter), self._log, "taking an answer")
            if isinstance(outcome, Fault):
                outcome = self._inbox.unusable(letter.delivery, outcome.reason)
            unusable.extend([outcome] if outcome else [])
        self._discard(unusable)
        return sent + len(deliveries)

    def concern(self) -> str | None:
        """Why something waits, as far as that shows from here: the broker does not take a message, the last answer was
        of no use. None if all is well. May be asked by any thread."""
        return self._relay.concern() or self._set_aside

    def _discard(self, unusable: list[Unusable]) -> None:
        if not unusable:
            return
        self._set_aside = unusable[-1].reason
        self._ledger.commit([item.unit for item in unusable])
        for item in unusable:
            self._bus.dead_letter(item.delivery)

    def _take(self, letter: Letter) -> Unusable | None:
        """Record what an answer means, then acknowledge it. An answer that fits nothing is unusable."""
        key = TransactionKey(Role.REQUESTER, letter.opened.message.sender, letter.opened.message.transaction)
        record = self._ledger.transactions([key]).get(key)
        reason = self._why_unusable(letter, record)
        if reason or record is None:
            return self._inbox.unusable(letter.delivery, reason or _NOT_OURS)
        self._record(letter, record)
        self._set_aside = None
        self._partners.forget()
        self._bus.acknowledge([letter.delivery])
        return None

    def _why_unusable(self, letter: Letter, record: TransactionRecord | None) -> str | None:
        """None for an answer from the issuer we asked, to the very request that we sent."""
        message, root = letter.opened.message, Fingerprint.of(letter.opened.root)
        if message.sender != self._issuer:
            return f"a message from {message.sender} in the virtual host of {self._issuer}"
        pinned = self._partners.pinned(message.sender)
        if root not in pinned:
            return f"{message.sender} signed under the root {root}, but pinned is {', '.join(sorted(pinned)) or 'none'}"
        if not isinstance(message.body, EnrollmentReply | EnrollmentAcknowledgement):
            return f"a message of type {message.body.type}, which an issuer does not send"
        if (
            record
            and isinstance(message.body, EnrollmentReply)
            and message.body.request_digest != record.request_digest
        ):
            return "a reply to another request under the same transaction id"
        return None

    def _record(self, letter: Letter, record: TransactionRecord) -> None:
        body, now = letter.opened.message.body, self._clock.now()
        kept = StoreMessage(record.key, body.type, letter.delivery.body, now, outgoing=False, link=self._issuer)
        if isinstance(body, EnrollmentAcknowledgement):
            if self._is_news(body, record):
                self._note_acknowledgement(body, record)
                self._ledger.commit([Unit((kept,))])
        elif isinstance(body, EnrollmentReply) and record.state in WAITING and not _says_again(body, record):
            self._record_reply(body, record, kept, letter.opened.root)

    def _is_news(self, body: EnrollmentAcknowledgement, record: TransactionRecord) -> bool:
        """Whether this is the first, or withdraws what was acknowledged: two are kept at most, however many come."""
        known = last_said(self._ledger, record.key, EnrollmentAcknowledgement)
        return known is None or known.state != body.state == "lapsed"

    def _note_acknowledgement(self, body: EnrollmentAcknowledgement, record: TransactionRecord) -> None:
        facts = {"transaction": record.key.id, "partner": self._issuer, "state": body.state}
        if body.state == "lapsed" and record.state is not State.FAILED:
            fix = "the issuer no longer accepts this certificate: enroll again"
            self._log.error("confirmed too late", **facts, fix=fix)
        elif body.state == "delivered" and record.state is State.VERIFIED:
            fix = "ask the issuer's operator whether its channel and its issuing processes share one ledger"
            self._log.warning("the issuer has not seen the channel that was verified here", **facts, fix=fix)
        else:
            self._log.info("acknowledged", **facts)

    def _record_reply(self, reply: EnrollmentReply, record: TransactionRecord, kept: StoreMessage, root: bytes) -> None:
        (recorded,) = self._ledger.commit([self._unit_for_reply(reply, record, kept, root)])
        if not recorded and isinstance(reply.result, Issued):
            # Of what it records, only the serial number can be in the way: the issuer has used it before.
            self._ledger.commit([self._unit_for_unacceptable(reply.result, record, kept, _serial_twice())])

    def _unit_for_reply(
        self, reply: EnrollmentReply, record: TransactionRecord, kept: StoreMessage, root: bytes
    ) -> Unit:
        pin = PinAnchor(self._issuer, Role.ISSUER, Fingerprint.of(root), root, kept.at)
        self._log.info("answer received", transaction=record.key.id, partner=self._issuer, outcome=reply.result.outcome)
        match reply.result:
            case Pending():
                return unit_for_move(record.key, record.state, Event.HELD, kept.at, None, kept, pin)
            case Refused(problems=problems):
                return unit_for_move(record.key, record.state, Event.DECLINED, kept.at, problems, kept, pin)
            case Issued() as issued:
                return self._unit_for_issued(issued, record, kept)

    def _unit_for_issued(self, issued: Issued, record: TransactionRecord, kept: StoreMessage) -> Unit:
        match alone(partial(self._accept, issued, record, kept.at), self._log, "judging a certificate"):
            case Accepted() as accepted:
                return unit_for_issued(record.key, record.state, accepted, self._us, kept)
            case ProtocolError() as error:
                return self._unit_for_unacceptable(issued, record, kept, error)
            case Fault():
                return self._unit_for_unacceptable(issued, record, kept, _our_fault())

    def _accept(self, issued: Issued, record: TransactionRecord, now: datetime) -> Accepted | ProtocolError:
        request = asked(self._ledger, record.key)
        lifetime = timedelta(seconds=request.lifetime_seconds) if request.lifetime_seconds else None
        try:
            return accept(issued, parse_csr(request.csr), lifetime, self._partners.pinned(self._issuer), now)
        except ProtocolError as error:
            return error

    def _unit_for_unacceptable(
        self, issued: Issued, record: TransactionRecord, kept: StoreMessage, error: ProtocolError
    ) -> Unit:
        """An answer that we do not accept ends the transaction, and its issuer is told why."""
        self._log.error(
            "certificate not accepted", transaction=record.key.id, why=str(error), fix="tell the issuer's operator"
        )
        rejected = Rejected(problem=error.problems[0])
        message = confirmation_message(record.key, self._us, issued.certificate, rejected, kept.at)
        confirmation = StoreMessage(
            record.key, message.body.type, self._sealer.seal(message), kept.at, outgoing=True, link=self._issuer
        )
        granted = unit_for_move(record.key, record.state, Event.GRANTED, kept.at, None, kept)
        failed = unit_for_move(record.key, State.ISSUED, Event.UNUSABLE, kept.at, error.problems, confirmation)
        return Unit(granted.effects + failed.effects)


def _says_again(reply: EnrollmentReply, record: TransactionRecord) -> bool:
    """Whether it only repeats that a request is held: kept once, however many copies come."""
    return isinstance(reply.result, Pending) and record.state is State.PENDING


def _serial_twice() -> ProtocolError:
    fix = "The issuer must never use a serial number twice (RFC 5280 section 4.1.2.2): mend that, then enroll again."
    got, allowed = "a serial number that another certificate of this issuer has", "a new serial number"
    return ProtocolError(problem(ProblemCode.BAD_CERT_TEMPLATE, "certificate", got, allowed, fix))


def _our_fault() -> ProtocolError:
    fix = "Nothing is wrong with the certificate: tell the requester's operator, then enroll again."
    got = "a certificate that the requester could not judge"
    return ProtocolError(problem(ProblemCode.SYSTEM_FAILURE, "certificate", got, "a judgement", fix))
