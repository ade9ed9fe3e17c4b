"""The issuing pipeline: what has arrived is taken as one batch and goes through each stage together.

`Issuing._deal_with` shows the order of effects (docs/ISSUANCE.md). Nothing signed leaves before its row is committed,
and each item fails alone. Publishing overlaps with the next batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agents.core.case import Case, key_of, parse
from agents.core.effects import MarkSent, StoreMessage, TransactionKey, Unit
from agents.core.issuer import Unconfirmed, acknowledgement, unit_for_confirmation
from agents.ports import (
    Bus,
    CertificateRecord,
    Delivery,
    Outgoing,
    Publication,
    PublishOutcome,
    TransactionRecord,
)
from agents.service.answering import Answer, Answering
from agents.service.inbox import Inbox, Letter, Unusable
from agents.service.isolation import Fault, alone
from agents.service.workplace import Workplace
from protocol.envelope import Sealer, UntimelyError
from protocol.messages import EnrollmentConfirmation, EnrollmentRequest, Rejected
from protocol.names import Fingerprint, OrganisationName
from protocol.topology import out_exchange, reply_queue

BATCH = 64
"""Most requests in one batch; no timer waits for it to fill."""

UNSETTLED_MAX = 4
"""Most batches that are published while the confirms of the first of them are still missing."""

T = TypeVar("T")

REPLY, ACKNOWLEDGEMENT = "enrollment.reply", "enrollment.acknowledgement"


@dataclass(frozen=True, slots=True)
class _Done:
    """One delivery that has been dealt with: what to record, and what to send if it was recorded."""

    delivery: Delivery
    unit: Unit | None
    reply: Outgoing | None
    key: TransactionKey | None = None
    """The transaction that holds the reply in its outbox; None where the reply is not stored."""
    dead: bool = False


class Issuing:
    """The issuer's side of one link. Used by one thread; several processes may work on one queue and one ledger."""

    def __init__(self, place: Workplace, bus: Bus, answering: Answering, sealer: Sealer, inbox: Inbox) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._bus, self._answering, self._sealer, self._inbox = bus, answering, sealer, inbox
        self._again: list[Delivery] = []
        """Deliveries whose outcome somebody else recorded first: looked at again, with that outcome known."""
        self._published: deque[tuple[Publication, list[_Done]]] = deque()
        """Batches whose confirms have not been collected, oldest first."""
        self._sent: list[tuple[TransactionKey, str]] = []
        """Stored replies that the broker has, to be recorded as such with the next commit."""

    def work(self, timeout: float) -> int:
        """Deal with one batch, waiting up to `timeout` seconds for it. Returns how many deliveries it had.

        Raises `LedgerUnavailableError`, after which the deliveries come again.
        """
        arrived = self._bus.receive(BATCH - len(self._again), 0.0 if self._again else timeout)
        deliveries, self._again = [*self._again, *arrived], []
        if deliveries:
            self._deal_with(deliveries)
        else:
            self._settle()
            if self._sent:
                self._commit([])
        return len(deliveries)

    def _deal_with(self, deliveries: list[Delivery]) -> None:
        letters, unusable = self._inbox.open(deliveries)
        records = self._ledger.transactions([key_of(letter.opened) for letter in letters])
        new, done = self._read(letters, records)
        cases = [case for _, case in new]
        judged = self._answering.judge(cases, self._answering.look_up(cases))
        signed = self._answering.sign(judged)
        answers = self._answering.seal(cases, signed)
        done += [self._answered(letter, answer) for (letter, _), answer in zip(new, answers, strict=True)]
        done += [self._guarded(item.delivery, partial(self._set_aside, item)) for item in unusable]
        kept = self._commit(done)
        self._publish(kept)
        self._acknowledge(kept)
        self._settle()

    def _read(
        self, letters: list[Letter], records: Mapping[TransactionKey, TransactionRecord]
    ) -> tuple[list[tuple[Letter, Case]], list[_Done]]:
        """New requests, to be answered together; and what became of all other messages, one by one."""
        new: list[tuple[Letter, Case]] = []
        done: list[_Done] = []
        for letter in letters:
            read = self._guarded(letter.delivery, partial(self._look_at, letter, records.get(key_of(letter.opened))))
            if isinstance(read, Case):
                new.append((letter, read))
            else:
                done.append(read)
        return new, done

    def _guarded(self, delivery: Delivery, step: Callable[[], T]) -> T | _Done:
        """Deal with one message; one that brings a fault of ours to light is quarantined, and the others go on."""
        result = alone(step, self._log, "answering a message")
        return self._failed(delivery, result) if isinstance(result, Fault) else result

    def _failed(self, delivery: Delivery, fault: Fault) -> _Done:
        return self._dead(self._inbox.unusable(delivery, fault.reason))

    def _look_at(self, letter: Letter, record: TransactionRecord | None) -> Case | _Done:
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

    def _answered(self, letter: Letter, answer: Answer | Fault | None) -> _Done:
        message = letter.opened.message
        match answer:
            case Answer(unit, sealed):
                reply = self._reply(message.sender, message.transaction, REPLY, sealed)
                return _Done(letter.delivery, unit, reply, key_of(letter.opened))
            case Fault():
                return self._failed(letter.delivery, answer)
            case None:
                reason = f"a request from {message.sender}, with whom there is no agreement"
                return self._dead(self._inbox.unusable(letter.delivery, reason))

    def _repeated(self, letter: Letter, record: TransactionRecord) -> _Done:
        """A request that was answered before: the stored reply again; another request under its id is refused."""
        if letter.opened.digest != record.request_digest:
            return self._id_in_use(letter, record)
        stored = self._ledger.message(record.key, REPLY)
        reply = self._reply(record.key.partner, record.key.id, REPLY, stored.body) if stored else None
        return _Done(letter.delivery, None, reply)

    def _id_in_use(self, letter: Letter, record: TransactionRecord) -> _Done:
        """Refuse another request under a known id, unless its sender is a stranger who shows a root of its own: nothing
        is signed for it, and whoever reads the partner's queue does not learn from an answer which ids are in use."""
        if letter.opened.introduced:
            reason = f"another request under the id of transaction {record.key.id}, under a root that is not pinned"
            return self._dead(self._inbox.unusable(letter.delivery, reason))
        sealed = self._answering.conflicting(letter.opened)
        return _Done(letter.delivery, None, self._reply(record.key.partner, record.key.id, REPLY, sealed))

    def _confirmed(self, letter: Letter, body: EnrollmentConfirmation, record: TransactionRecord) -> _Done:
        certificate = self._ledger.certificate(self._us, record.serial) if record.serial else None
        if certificate is None or Fingerprint.of(certificate.certificate) != body.certificate_digest:
            reason = f"a confirmation of another certificate than the one of transaction {record.key.id}"
            return self._dead(self._inbox.unusable(letter.delivery, reason))
        return self._record_confirmation(letter, body, record, certificate)

    def _record_confirmation(
        self, letter: Letter, body: EnrollmentConfirmation, record: TransactionRecord, certificate: CertificateRecord
    ) -> _Done:
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
            return _Done(letter.delivery, None, reply)
        facts = {"transaction": record.key.id, "partner": record.key.partner, "state": state.value}
        if isinstance(body.result, Rejected):
            self._log.warning("certificate rejected", **facts, why=str(body.result.problem))
        else:
            self._log.info("confirmation recorded", **facts)
        stored = StoreMessage(record.key, ACKNOWLEDGEMENT, sealed, now, outgoing=True, link=self._us)
        return _Done(letter.delivery, Unit((*unit.effects, stored)), reply, record.key)

    def _set_aside(self, unusable: Unusable) -> _Done:
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
        return _Done(
            unusable.delivery, answer.unit, self._reply(message.sender, message.transaction, REPLY, answer.sealed)
        )

    def _dead(self, unusable: Unusable) -> _Done:
        return _Done(unusable.delivery, unusable.unit, None, dead=True)

    def _reply(self, partner: OrganisationName, transaction: str, kind: str, sealed: bytes) -> Outgoing:
        return Outgoing(out_exchange(self._us), reply_queue(partner), sealed, kind, transaction, transaction)

    def _commit(self, done: list[_Done]) -> list[_Done]:
        """Record all in one transaction, with the confirms of earlier batches. Returns what is to be sent on: what
        conflicted is looked at again."""
        marks = [Unit((MarkSent(tuple(self._sent), self._clock.now()),))] if self._sent else []
        with_unit = [(item, item.unit) for item in done if item.unit is not None]
        recorded = self._ledger.commit([*marks, *(unit for _, unit in with_unit)])[len(marks) :]
        self._sent.clear()
        conflicts = {id(item) for (item, _), kept in zip(with_unit, recorded, strict=True) if not kept}
        self._again = [item.delivery for item in done if id(item) in conflicts]
        return [item for item in done if id(item) not in conflicts]

    def _publish(self, done: list[_Done]) -> None:
        """Hand the replies to the link; their confirms are collected later."""
        replied = [(item, item.reply) for item in done if item.reply is not None]
        self._published.append((self._bus.publish([reply for _, reply in replied]), [item for item, _ in replied]))

    def _acknowledge(self, done: list[_Done]) -> None:
        self._bus.acknowledge([item.delivery for item in done if not item.dead])
        for item in done:
            if item.dead:
                self._bus.dead_letter(item.delivery)

    def _settle(self) -> None:
        """Collect the confirms that are there. Only a batch beyond `UNSETTLED_MAX` waits for its own, so that an issuer
        with nothing to do never waits: the sweep publishes again what is not confirmed in time.
        """
        while self._published and (len(self._published) > UNSETTLED_MAX or self._published[0][0].done()):
            publication, replied = self._published.popleft()
            for item, outcome in zip(replied, publication.outcomes(), strict=True):
                if item.key and item.reply and outcome is PublishOutcome.CONFIRMED:
                    self._sent.append((item.key, item.reply.type))
