"""The requester's side of one link: sends what was created, takes what comes back.

Every step is recorded before the next begins, so that a restart goes on where it stopped (docs/ISSUANCE.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from agents.core.answers import (
    NEVER_ASKED,
    NOT_JUDGED,
    SERIAL_TWICE,
    Accepted,
    Answer,
    accept,
    is_awaited,
    is_news,
    unit_for_issued,
    unit_for_no_certificate,
    unit_for_unacceptable,
    why_unusable,
)
from agents.core.effects import Unit
from agents.core.requester import confirmation_message, to_send
from agents.ports import Bus, TransactionRecord
from agents.service.inbox import Inbox, Letter, Unusable
from agents.service.isolation import Fault, alone
from agents.service.partners import Partners
from agents.service.relay import Relay
from agents.service.stored import asked, last_said
from agents.service.workplace import Workplace
from protocol.csr import parse_csr
from protocol.envelope import Sealer
from protocol.errors import Problem, ProtocolError
from protocol.messages import EnrollmentAcknowledgement, EnrollmentReply, Issued, Pending, Refused, Rejected
from protocol.names import OrganisationName
from protocol.transaction import Role, State

BATCH = 64


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
        answer = Answer(letter.opened.message, letter.opened.root, letter.delivery.body)
        record = self._ledger.transactions([answer.key]).get(answer.key)
        pinned = self._partners.pinned(self._issuer)
        reason = why_unusable(answer, self._issuer, pinned, record.request_digest if record else None)
        if reason or record is None:
            return self._inbox.unusable(letter.delivery, reason or NEVER_ASKED)
        self._record(answer, record)
        self._set_aside = None
        self._partners.forget()
        self._bus.acknowledge([letter.delivery])
        return None

    def _record(self, answer: Answer, record: TransactionRecord) -> None:
        match answer.message.body:
            case EnrollmentAcknowledgement() as said if is_news(said, self._acknowledged(record)):
                self._note_acknowledgement(said, record)
                self._ledger.commit([Unit((answer.kept(self._clock.now()),))])
            case EnrollmentReply() as reply if is_awaited(reply, record.state):
                facts = {"transaction": record.key.id, "partner": self._issuer, "outcome": reply.result.outcome}
                self._log.info("answer received", **facts)
                self._record_reply(answer, reply.result, record)

    def _acknowledged(self, record: TransactionRecord) -> EnrollmentAcknowledgement | None:
        return last_said(self._ledger, record.key, EnrollmentAcknowledgement)

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

    def _record_reply(self, answer: Answer, result: Issued | Pending | Refused, record: TransactionRecord) -> None:
        now = self._clock.now()
        if not isinstance(result, Issued):
            self._ledger.commit([unit_for_no_certificate(answer, record.state, result, now)])
            return
        match alone(partial(self._accept, result, record, now), self._log, "judging a certificate"):
            case Accepted() as accepted:
                unit = unit_for_issued(record.key, record.state, accepted, self._us, answer.kept(now))
                (recorded,) = self._ledger.commit([unit])
                if not recorded:
                    # Of what it records, only the serial number can be in the way: the issuer has used it before.
                    self._reject(answer, result, record, (SERIAL_TWICE,))
            case ProtocolError() as error:
                self._reject(answer, result, record, error.problems)
            case Fault():
                self._reject(answer, result, record, (NOT_JUDGED,))

    def _accept(self, issued: Issued, record: TransactionRecord, now: datetime) -> Accepted | ProtocolError:
        request = asked(self._ledger, record.key)
        lifetime = timedelta(seconds=request.lifetime_seconds) if request.lifetime_seconds else None
        try:
            return accept(issued, parse_csr(request.csr), lifetime, self._partners.pinned(self._issuer), now)
        except ProtocolError as error:
            return error.as_value()

    def _reject(self, answer: Answer, issued: Issued, record: TransactionRecord, problems: tuple[Problem, ...]) -> None:
        """An answer that we do not accept ends the transaction, and its issuer is told why."""
        why, fix = "; ".join(map(str, problems)), "tell the issuer's operator"
        self._log.error("certificate not accepted", transaction=record.key.id, why=why, fix=fix)
        now, result = self._clock.now(), Rejected(problem=problems[0])
        message = confirmation_message(record.key, self._us, issued.certificate, result, now)
        confirmation = to_send(record.key, message, self._sealer.seal(message))
        self._ledger.commit([unit_for_unacceptable(answer, record.state, problems, confirmation, now)])
