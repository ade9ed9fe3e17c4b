"""The issuing pipeline: what has arrived is taken as one batch and goes through each stage together.

Order of effects (docs/ISSUANCE.md): open, look up, judge, sign, seal; one ledger commit; publish; acknowledge. Nothing
signed leaves before its row is committed, and each item fails alone. Publishing overlaps with the next batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from agents.core.effects import MarkSent, StoreMessage, TransactionKey, Unit
from agents.core.issuer import acknowledgement, key_of, unit_for_confirmation
from agents.ports import (
    Bus,
    Clock,
    Delivery,
    InvitationRecord,
    Ledger,
    Log,
    Outgoing,
    Publication,
    PublishOutcome,
    TransactionRecord,
)
from agents.service.answering import Answering, KeyHolders, Parsed, parse
from agents.service.inbox import Inbox, Letter, Unusable
from agents.service.isolation import Fault, alone
from agents.service.stages import Staged, together
from protocol.envelope import Sealer, UntimelyError
from protocol.errors import ProtocolError
from protocol.messages import EnrollmentConfirmation, EnrollmentRequest
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber
from protocol.topology import out_exchange, reply_queue

BATCH = 64
"""Most requests in one batch; no timer waits for it to fill."""

UNSETTLED_MAX = 4
"""Most batches that are published while the confirms of the first of them are still missing."""

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

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        us: OrganisationName,
        bus: Bus,
        ledger: Ledger,
        answering: Answering,
        sealer: Sealer,
        inbox: Inbox,
        clock: Clock,
        log: Log,
    ) -> None:
        self._us, self._bus, self._ledger = us, bus, ledger
        self._answering, self._sealer = answering, sealer
        self._clock, self._log = clock, log
        self._inbox = inbox
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
            self._settle(0)
            self._record_sent()
        return len(deliveries)

    def _deal_with(self, deliveries: list[Delivery]) -> None:
        letters, unusable = self._inbox.open(deliveries)
        records = self._ledger.transactions([key_of(letter.opened) for letter in letters])
        done = [self._guarded(item.delivery, partial(self._set_aside, item)) for item in unusable]
        fresh = []
        for letter in letters:
            record = records.get(key_of(letter.opened))
            if isinstance(letter.opened.message.body, EnrollmentRequest) and record is None:
                fresh.append(letter)
            else:
                done.append(self._guarded(letter.delivery, partial(self._on_record, letter, record)))
        done.extend(self._answer(fresh))
        self._finish(done)

    def _answer(self, letters: Sequence[Letter]) -> list[_Done]:
        """The stages for new requests: parse all, look up once for all, then judge all, sign all, seal all."""
        looked_at = [
            (letter, alone(partial(parse, letter.opened, letter.delivery.body), self._log, "reading a request"))
            for letter in letters
        ]
        parsed = [(letter, item) for letter, item in looked_at if isinstance(item, Parsed)]
        invitations = self._ledger.invitations([id for _, item in parsed if (id := _invitation_of(item))])
        keys = [item.csr.key.fingerprint for _, item in parsed if not isinstance(item.csr, ProtocolError)]
        holders = self._ledger.key_holders(keys)
        works = [self._answer_one(letter, item, invitations, holders) for letter, item in parsed]
        answered = together(works, self._log, "answering a message")
        return [
            *(self._failed(letter.delivery, item) for letter, item in looked_at if isinstance(item, Fault)),
            *(self._unless_failed(letter.delivery, one) for (letter, _), one in zip(parsed, answered, strict=True)),
        ]

    def _guarded(self, delivery: Delivery, step: Callable[[], _Done]) -> _Done:
        """Deal with one message; one that brings a fault of ours to light is quarantined, and the others go on."""
        return self._unless_failed(delivery, alone(step, self._log, "answering a message"))

    def _unless_failed(self, delivery: Delivery, done: _Done | Fault) -> _Done:
        return self._failed(delivery, done) if isinstance(done, Fault) else done

    def _failed(self, delivery: Delivery, fault: Fault) -> _Done:
        return self._dead(self._inbox.unusable(delivery, fault.reason))

    def _answer_one(
        self,
        letter: Letter,
        parsed: Parsed,
        invitations: dict[InvitationId, InvitationRecord],
        holders: KeyHolders,
    ) -> Staged[_Done]:
        answer = yield from self._answering.answer_in_stages(parsed, invitations, holders)
        if answer is None:
            reason = f"a request from {letter.opened.message.sender}, with whom there is no agreement"
            return self._dead(self._inbox.unusable(letter.delivery, reason))
        reply = self._reply(letter.opened.message.sender, letter.opened.message.transaction, REPLY, answer.sealed)
        return _Done(letter.delivery, answer.unit, reply, key_of(letter.opened))

    def _on_record(self, letter: Letter, record: TransactionRecord | None) -> _Done:
        """A message about a transaction that is on record, or should be."""
        body = letter.opened.message.body
        if isinstance(body, EnrollmentRequest) and record is not None:
            return self._repeated(letter, record)
        if isinstance(body, EnrollmentConfirmation) and record is not None and not letter.opened.introduced:
            return self._confirmed(letter, body, record)
        reason = f"a message of type {body.type} that answers nothing on record here"
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
        return self._acknowledge(letter, body, record, certificate.serial)

    def _acknowledge(
        self, letter: Letter, body: EnrollmentConfirmation, record: TransactionRecord, serial: SerialNumber
    ) -> _Done:
        """Record a confirmation and answer with the state; a second one changes nothing and is answered alike."""
        now = self._clock.now()
        unit, state = unit_for_confirmation(record.key, record.state, serial, body, self._us, now)
        sealed = self._sealer.seal(acknowledgement(letter.opened.message, body.certificate_digest, state, now))
        reply = self._reply(record.key.partner, record.key.id, ACKNOWLEDGEMENT, sealed)
        if unit is None:
            return _Done(letter.delivery, None, reply)
        self._log.info(
            "confirmation recorded", transaction=record.key.id, partner=record.key.partner, state=state.value
        )
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

    def _finish(self, done: list[_Done]) -> None:
        """Commit all, publish what was recorded, acknowledge, and only then look at the confirms of earlier batches."""
        with_unit = [item for item in done if item.unit is not None]
        recorded = self._commit([item.unit for item in with_unit if item.unit is not None])
        conflicts = {id(item) for item, kept in zip(with_unit, recorded, strict=True) if not kept}
        kept = [item for item in done if id(item) not in conflicts]
        replied = [item for item in kept if item.reply is not None]
        publication = self._bus.publish([item.reply for item in replied if item.reply is not None])
        self._bus.acknowledge([item.delivery for item in kept if not item.dead])
        for item in kept:
            if item.dead:
                self._bus.dead_letter(item.delivery)
        self._again = [item.delivery for item in done if id(item) in conflicts]
        self._published.append((publication, replied))
        self._settle(UNSETTLED_MAX)

    def _commit(self, units: list[Unit]) -> tuple[bool, ...]:
        marks = [Unit((MarkSent(tuple(self._sent), self._clock.now()),))] if self._sent else []
        recorded = self._ledger.commit([*marks, *units])[len(marks) :]
        self._sent.clear()
        return recorded

    def _settle(self, most: int) -> None:
        """Collect the confirms that are there, and wait for those of all but the latest `most` batches.

        What is not confirmed stays in the outbox for the sweep.
        """
        while self._published and (len(self._published) > most or self._published[0][0].done()):
            publication, replied = self._published.popleft()
            for item, outcome in zip(replied, publication.outcomes(), strict=True):
                if item.key and item.reply and outcome is PublishOutcome.CONFIRMED:
                    self._sent.append((item.key, item.reply.type))

    def _record_sent(self) -> None:
        if self._sent:
            self._commit([])


def _invitation_of(parsed: Parsed) -> InvitationId | None:
    body = parsed.opened.message.body
    return body.invitation.id if isinstance(body, EnrollmentRequest) and body.invitation else None
