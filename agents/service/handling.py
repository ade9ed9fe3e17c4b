"""What becomes of each message that an issuer got: what is recorded of it, what is sent back, or that it is set aside.

New requests are only read here: they are answered together (`answering`). Nothing is recorded or sent: see `issuing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agents.core.case import Case, key_of, parse
from agents.core.effects import StoreMessage, TransactionKey, Unit
from agents.core.issuer import Unconfirmed, acknowledgement, unit_for_confirmation
from agents.ports import CertificateRecord, Delivery, Outgoing, TransactionRecord
from agents.service.answering import Answering, Reply
from agents.service.inbox import Inbox, Letter, Unusable
from agents.service.isolation import Fault, alone
from agents.service.workplace import Workplace
from protocol.envelope import Sealer, UntimelyError
from protocol.messages import EnrollmentConfirmation, EnrollmentRequest, Rejected
from protocol.names import Fingerprint, OrganisationName
from protocol.topology import out_exchange, reply_queue

REPLY, ACKNOWLEDGEMENT = "enrollment.reply", "enrollment.acknowledgement"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Handled:
    """One delivery that has been dealt with: what to record, and what to send if it was recorded."""

    delivery: Delivery
    unit: Unit | None
    reply: Outgoing | None
    key: TransactionKey | None = None
    """The transaction that holds the reply in its outbox; None where the reply is not stored."""
    dead: bool = False


class Handling:
    """The messages to one issuer. Used by one thread."""

    def __init__(self, place: Workplace, inbox: Inbox, answering: Answering, sealer: Sealer) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._inbox, self._answering, self._sealer = inbox, answering, sealer

    def read(self, letters: Sequence[Letter]) -> tuple[list[tuple[Letter, Case]], list[Handled]]:
        """New requests, to be answered together; and what becomes of all other messages. Raises
        `LedgerUnavailableError`."""
        records = self._ledger.transactions([key_of(letter.opened) for letter in letters])
        new: list[tuple[Letter, Case]] = []
        done: list[Handled] = []
        for letter in letters:
            read = self._guarded(letter.delivery, partial(self._look_at, letter, records.get(key_of(letter.opened))))
            if isinstance(read, Case):
                new.append((letter, read))
            else:
                done.append(read)
        return new, done

    def _guarded(self, delivery: Delivery, step: Callable[[], T]) -> T | Handled:
        """Deal with one message; one that brings a fault of ours to light is quarantined, and the others go on."""
        result = alone(step, self._log, "answering a message")
        return self._failed(delivery, result) if isinstance(result, Fault) else result

    def _failed(self, delivery: Delivery, fault: Fault) -> Handled:
        return self._dead(self._inbox.unusable(delivery, fault.reason))

    def _look_at(self, letter: Letter, record: TransactionRecord | None) -> Case | Handled:
        """A new request, read; any other message, dealt with by what is on record."""
        match letter.opened.message.body, record:
            case EnrollmentRequest(), None:
                return parse(letter.opened, letter.delivery.body)
            case EnrollmentRequest(), TransactionRecord() as known:
                return self._repeated(letter, known)
            case EnrollmentConfirmation() as confirmation, TransactionRecord() as known if not letter.opened.introduced:
                return self._confirmed(letter, confirmation, known)
            case body, _:
                reason = f"a message of type {body.type} that answers nothing on record here"
                return self._dead(self._inbox.unusable(letter.delivery, reason))

    def answered(self, letter: Letter, answer: Reply | Fault | None) -> Handled:
        """A new request with its answer; None for one that nobody is told of."""
        message = letter.opened.message
        match answer:
            case Reply(unit, sealed):
                reply = self._reply(message.sender, message.transaction, REPLY, sealed)
                return Handled(letter.delivery, unit, reply, key_of(letter.opened))
            case Fault():
                return self._failed(letter.delivery, answer)
            case None:
                reason = f"a request from {message.sender}, with whom there is no agreement"
                return self._dead(self._inbox.unusable(letter.delivery, reason))

    def _repeated(self, letter: Letter, record: TransactionRecord) -> Handled:
        """A request that was answered before: the stored reply again; another request under its id is refused."""
        if letter.opened.digest != record.request_digest:
            return self._id_in_use(letter, record)
        stored = self._ledger.message(record.key, REPLY)
        reply = self._reply(record.key.partner, record.key.id, REPLY, stored.body) if stored else None
        return Handled(letter.delivery, None, reply)

    def _id_in_use(self, letter: Letter, record: TransactionRecord) -> Handled:
        """Refuse another request under a known id, unless its sender is a stranger who shows a root of its own: nothing
        is signed for it, and whoever reads the partner's queue does not learn from an answer which ids are in use."""
        if letter.opened.introduced:
            reason = f"another request under the id of transaction {record.key.id}, under a root that is not pinned"
            return self._dead(self._inbox.unusable(letter.delivery, reason))
        sealed = self._answering.conflicting(letter.opened)
        return Handled(letter.delivery, None, self._reply(record.key.partner, record.key.id, REPLY, sealed))

    def _confirmed(self, letter: Letter, body: EnrollmentConfirmation, record: TransactionRecord) -> Handled:
        certificate = self._ledger.certificate(self._us, record.serial) if record.serial else None
        if certificate is None or Fingerprint.of(certificate.certificate) != body.certificate_digest:
            reason = f"a confirmation of another certificate than the one of transaction {record.key.id}"
            return self._dead(self._inbox.unusable(letter.delivery, reason))
        return self._record_confirmation(letter, body, record, certificate)

    def _record_confirmation(
        self, letter: Letter, body: EnrollmentConfirmation, record: TransactionRecord, certificate: CertificateRecord
    ) -> Handled:
        """Record a confirmation and answer with the state; a second one changes nothing and is answered alike."""
        now = self._clock.now()
        unit, state = unit_for_confirmation(
            Unconfirmed(record.key, certificate.serial, self._us),
            record.state,
            body,
            now,
            shown=certificate.shown_at is not None,
        )
        sealed = self._sealer.seal(acknowledgement(letter.opened.message, body.certificate_digest, state, now))
        reply = self._reply(record.key.partner, record.key.id, ACKNOWLEDGEMENT, sealed)
        if unit is None:
            return Handled(letter.delivery, None, reply)
        facts = {"transaction": record.key.id, "partner": record.key.partner, "state": state.value}
        if isinstance(body.result, Rejected):
            self._log.warning("certificate rejected", **facts, why=str(body.result.problem))
        else:
            self._log.info("confirmation recorded", **facts)
        stored = StoreMessage(record.key, ACKNOWLEDGEMENT, sealed, now, outgoing=True, issuer=self._us)
        return Handled(letter.delivery, Unit((*unit.effects, stored)), reply, record.key)

    def set_aside(self, unusable: Unusable) -> Handled:
        """A message that cannot be opened. Raises `LedgerUnavailableError`."""
        return self._guarded(unusable.delivery, partial(self._set_aside, unusable))

    def _set_aside(self, unusable: Unusable) -> Handled:
        """A partner whose request has only its times wrong is told so: it cannot see from there which clock is off."""
        error = unusable.error
        if not isinstance(error, UntimelyError) or not isinstance(error.opened.message.body, EnrollmentRequest):
            return self._dead(unusable)
        key = key_of(error.opened)
        record = self._ledger.transactions([key]).get(key)
        if record is not None:
            # A late copy of a request that was answered in time.
            return self._repeated(Letter(unusable.delivery, error.opened), record)
        answer = self._answering.turn_away(error.opened, error)
        if answer is None:
            return self._dead(unusable)
        message = error.opened.message
        return Handled(
            unusable.delivery, answer.unit, self._reply(message.sender, message.transaction, REPLY, answer.sealed)
        )

    def _dead(self, unusable: Unusable) -> Handled:
        return Handled(unusable.delivery, unusable.unit, None, dead=True)

    def _reply(self, partner: OrganisationName, transaction: str, kind: str, sealed: bytes) -> Outgoing:
        return Outgoing(out_exchange(self._us), reply_queue(partner), sealed, kind, transaction, transaction)
