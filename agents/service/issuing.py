"""The issuing pipeline: what has arrived is taken as one batch and goes through each stage together.

`Issuing._deal_with` shows the order of effects (docs/ISSUANCE.md). Nothing signed leaves before its row is committed,
and each item fails alone. Publishing overlaps with the next batch.
"""

from __future__ import annotations

from collections import deque

from agents.core.effects import MarkSent, TransactionKey, Unit
from agents.ports import Bus, Delivery, Publication, PublishOutcome
from agents.service.answering import Answering
from agents.service.handling import Handled, Handling
from agents.service.inbox import Inbox
from agents.service.workplace import Workplace

BATCH = 64
"""Most requests in one batch; no timer waits for it to fill."""

UNSETTLED_MAX = 4
"""Most batches that are published while the confirms of the first of them are still missing."""


class Issuing:
    """The issuer's side of one link. Used by one thread; several processes may work on one queue and one ledger."""

    def __init__(self, place: Workplace, bus: Bus, inbox: Inbox, handling: Handling, answering: Answering) -> None:
        self._ledger, self._clock = place.ledger, place.clock
        self._bus, self._inbox, self._handling, self._answering = bus, inbox, handling, answering
        self._again: list[Delivery] = []
        """Deliveries whose outcome somebody else recorded first: looked at again, with that outcome known."""
        self._published: deque[tuple[Publication, list[Handled]]] = deque()
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
            self._inbox.turn_minute()
            self._settle()
            if self._sent:
                self._commit([])
        return len(deliveries)

    def _deal_with(self, deliveries: list[Delivery]) -> None:
        letters, unusable = self._inbox.open(deliveries)
        new, done = self._handling.read(letters)
        cases = [case for _, case in new]
        judged = self._answering.judge(cases, self._answering.look_up(cases))
        signed = self._answering.sign(judged)
        answers = self._answering.seal(cases, signed)
        done += [self._handling.answered(letter, answer) for (letter, _), answer in zip(new, answers, strict=True)]
        done += [self._handling.set_aside(item) for item in unusable]
        kept = self._commit(done)
        self._publish(kept)
        self._acknowledge(kept)
        self._settle()

    def _commit(self, done: list[Handled]) -> list[Handled]:
        """Record all in one transaction, with the confirms of earlier batches. Returns what is to be sent on: what
        conflicted is looked at again."""
        marks = [Unit((MarkSent(tuple(self._sent), self._clock.now()),))] if self._sent else []
        with_unit = [(item, item.unit) for item in done if item.unit is not None]
        recorded = self._ledger.commit([*marks, *(unit for _, unit in with_unit)])[len(marks) :]
        self._sent.clear()
        conflicts = {id(item) for (item, _), kept in zip(with_unit, recorded, strict=True) if not kept}
        self._again = [item.delivery for item in done if id(item) in conflicts]
        return [item for item in done if id(item) not in conflicts]

    def _publish(self, done: list[Handled]) -> None:
        """Hand the replies to the link; their confirms are collected later."""
        replied = [(item, item.reply) for item in done if item.reply is not None]
        self._published.append((self._bus.publish([reply for _, reply in replied]), [item for item, _ in replied]))

    def _acknowledge(self, done: list[Handled]) -> None:
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
