"""Publishes what the ledger says must leave, until the broker has confirmed it: at least once."""

from __future__ import annotations

from agents.core.effects import Audit, MarkPublished, MoveTransaction, Unit
from agents.ports import Bus, Clock, Ledger, Log, OutboxRecord, Outgoing, PublishOutcome
from protocol.names import OrganisationName
from protocol.topology import out_exchange, reply_queue, request_queue
from protocol.transaction import Event, Role, State, step

BATCH = 64
"""Messages that are published before their confirms are collected."""

BACKOFF_FIRST = 1.0
BACKOFF_MAX = 30.0
"""Seconds before a message that the broker did not take is tried again; doubled from the first to the longest."""

_REASONS = {
    PublishOutcome.RETURNED: "no queue is bound for it: the broker's definitions must name both organisations",
    PublishOutcome.REFUSED: "the broker refused it: the queue may be full",
    PublishOutcome.UNKNOWN: "the broker did not confirm it in time",
}


def outgoing(us: OrganisationName, record: OutboxRecord) -> Outgoing:
    """A stored message as it is published: to our own exchange, with the queue of the recorded partner as its key."""
    to_issuer = record.key.role is Role.REQUESTER
    return Outgoing(
        exchange=out_exchange(us),
        routing_key=request_queue(record.link) if to_issuer else reply_queue(record.key.partner),
        body=record.body,
        type=record.type,
        message_id=record.key.id,
        correlation_id=None if to_issuer else record.key.id,
    )


class Relay:
    """The outbox of one link."""

    def __init__(
        self, us: OrganisationName, link: OrganisationName, bus: Bus, ledger: Ledger, clock: Clock, log: Log
    ) -> None:
        self._us, self._link = us, link
        self._bus, self._ledger, self._clock, self._log = bus, ledger, clock, log
        self._retry: dict[int, tuple[float, float]] = {}
        """Per message that was not taken: when to try again (monotonic), and how long the wait before that was."""

    def flush(self, rows: tuple[OutboxRecord, ...] | None = None) -> int:
        """Publish what is due (or those of `rows` that are) and record what was confirmed. Returns how many were.

        Without a connection nothing is tried. Raises `LedgerUnavailableError`.
        """
        if not self._bus.health().connected:
            return 0
        due = self._due() if rows is None else [row for row in rows if self._is_due(row.sequence)]
        if not due:
            return 0
        outcomes = self._bus.publish([outgoing(self._us, row) for row in due]).outcomes()
        confirmed = [row for row, outcome in zip(due, outcomes, strict=True) if outcome is PublishOutcome.CONFIRMED]
        for row, outcome in zip(due, outcomes, strict=True):
            self._note(row, outcome)
        self._record(confirmed)
        return len(confirmed)

    def _due(self) -> list[OutboxRecord]:
        """The oldest messages that are due: those of a partner without a queue must not keep all others waiting."""
        due: list[OutboxRecord] = []
        page = self._ledger.outbox(self._link, BATCH)
        while page and len(due) < BATCH:
            due += [row for row in page if self._is_due(row.sequence)]
            page = self._ledger.outbox(self._link, BATCH, page[-1].sequence) if len(page) == BATCH else ()
        return due[:BATCH]

    def _is_due(self, sequence: int) -> bool:
        return self._retry.get(sequence, (0.0, 0.0))[0] <= self._clock.monotonic()

    def _note(self, row: OutboxRecord, outcome: PublishOutcome) -> None:
        if outcome is PublishOutcome.CONFIRMED:
            self._retry.pop(row.sequence, None)
            return
        last = self._retry.get(row.sequence, (0.0, 0.0))[1]
        wait = min(last * 2 or BACKOFF_FIRST, BACKOFF_MAX)
        self._retry[row.sequence] = (self._clock.monotonic() + wait, wait)
        reason = _REASONS[outcome]
        self._log.warning("not published", transaction=row.key.id, type=row.type, why=reason, again_in_seconds=wait)

    def _record(self, confirmed: list[OutboxRecord]) -> None:
        if not confirmed:
            return
        now = self._clock.now()
        units = [Unit((MarkPublished(tuple(row.sequence for row in confirmed), now),))]
        # A reply can be quicker than this record of the request's departure: then the move conflicts, rightly.
        for row in confirmed:
            if row.type == "enrollment.request":
                after = step(Role.REQUESTER, State.CREATED, Event.PUBLISHED)
                move = MoveTransaction(row.key, State.CREATED, after, now)
                units.append(Unit((move, Audit(now, "sent", row.key.partner, row.key.id, "confirmed by the broker"))))
        self._ledger.commit(units)
