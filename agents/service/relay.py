"""Publishes what the ledger says must leave, until the broker has confirmed it: at least once."""

from __future__ import annotations

from typing import NamedTuple

from agents.core.requester import units_for_confirmed
from agents.ports import Bus, LinkHealth, OutboxRecord, Outgoing, PublishOutcome
from agents.service.retries import Doubling, Retries
from agents.service.workplace import Workplace
from protocol.names import OrganisationName, TransactionId
from protocol.topology import out_exchange, reply_queue, request_queue
from protocol.transaction import Role

BATCH = 64
"""Messages that are published before their confirms are collected."""

BACKOFF = Doubling(1.0, 30.0)
"""Before a message that the broker did not take is tried again."""

_REASONS = {
    PublishOutcome.RETURNED: "no queue is bound for it: ask the broker's operator to load definitions with both names",
    PublishOutcome.NACKED: (
        "its queue did not take it: it is full, because the partner's agent does not run, or without quorum. Ask the "
        "partner, then the broker's operator"
    ),
    PublishOutcome.REFUSED: "the broker refused it",
    PublishOutcome.UNKNOWN: "the broker did not confirm it",
}


class _Place(NamedTuple):
    """Which message of which transaction: sequences alone are the same in many ledgers."""

    transaction: TransactionId
    sequence: int


class _Obstacle(NamedTuple):
    """Why the broker did not take a message to a partner."""

    partner: OrganisationName
    outcome: PublishOutcome
    why: str


def _place(row: OutboxRecord) -> _Place:
    return _Place(row.key.id, row.sequence)


def reason(outcome: PublishOutcome, health: LinkHealth) -> str:
    """Why a message was not confirmed, for people: the outcome, and what the link says of itself just afterwards."""
    if outcome is PublishOutcome.UNKNOWN and health.blocked is not None:
        return f"the broker blocks publishing: {health.blocked}"
    if outcome is PublishOutcome.REFUSED and health.last_error is not None:
        return f"{_REASONS[outcome]}: {health.last_error}"
    return _REASONS[outcome]


def outgoing(us: OrganisationName, record: OutboxRecord) -> Outgoing:
    """A stored message as it is published: to our own exchange, with the queue of the recorded partner as its key."""
    to_issuer = record.key.role is Role.REQUESTER
    return Outgoing(
        exchange=out_exchange(us),
        routing_key=request_queue(record.issuer) if to_issuer else reply_queue(record.key.partner),
        body=record.body,
        type=record.type,
        message_id=record.key.id,
        correlation_id=None if to_issuer else record.key.id,
    )


class Relay:
    """What leaves through the virtual host of one issuer."""

    def __init__(self, place: Workplace, issuer: OrganisationName, bus: Bus) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._issuer, self._bus = issuer, bus
        self._retries = Retries[_Place, _Obstacle](BACKOFF)

    def flush(self, rows: tuple[OutboxRecord, ...] | None = None) -> int:
        """Publish what is due (or those of `rows` that are) and record what was confirmed. Returns how many were.

        Without a connection nothing is tried, nor while the broker blocks publishing: whoever waited for confirms then
        would not consume. Raises `LedgerUnavailableError`.
        """
        health = self._bus.health()
        if not health.connected or health.blocked is not None:
            return 0
        due = self._due() if rows is None else self._those_due(rows)
        if not due:
            return 0
        outcomes = self._bus.publish([outgoing(self._us, row) for row in due]).outcomes()
        rows_by_outcome: dict[PublishOutcome, list[OutboxRecord]] = {}
        for row, outcome in zip(due, outcomes, strict=True):
            rows_by_outcome.setdefault(outcome, []).append(row)
        confirmed = rows_by_outcome.pop(PublishOutcome.CONFIRMED, [])
        self._forget(confirmed)
        for outcome, missed in rows_by_outcome.items():
            self._put_off(missed, outcome)
        self._record(confirmed)
        return len(confirmed)

    def concern(self) -> str | None:
        """Why a message waits that the broker did not take; None if none waits for that. May be asked by any thread."""
        waiting = self._retries.whys(self._clock.monotonic())
        return next((f"A message to {one.partner} waits: {one.why.rstrip('.')}." for one in waiting), None)

    def _due(self) -> list[OutboxRecord]:
        """The oldest messages that are due: those of a partner without a queue must not keep all others waiting."""
        due: list[OutboxRecord] = []
        page = self._ledger.outbox(self._issuer, BATCH)
        while page and len(due) < BATCH:
            due += self._those_due(page)
            page = self._ledger.outbox(self._issuer, BATCH, page[-1].sequence) if len(page) == BATCH else ()
        return due[:BATCH]

    def _those_due(self, rows: tuple[OutboxRecord, ...]) -> list[OutboxRecord]:
        now = self._clock.monotonic()
        return [row for row in rows if self._retries.is_due(_place(row), now)]

    def _forget(self, confirmed: list[OutboxRecord]) -> None:
        """Wait no longer for the queues that took a message. What the broker refuses stays put off: each try costs the
        channel, and may be refused for what it is."""
        taken, open_again = {_place(row) for row in confirmed}, {row.key.partner for row in confirmed}

        def waits_on(place: _Place, obstacle: _Obstacle) -> bool:
            refused = obstacle.outcome is PublishOutcome.REFUSED
            return place not in taken and (refused or obstacle.partner not in open_again)

        self._retries.keep(self._clock.monotonic(), waits_on)

    def _put_off(self, missed: list[OutboxRecord], outcome: PublishOutcome) -> None:
        """Try these again later, more and more rarely, and say once for all of them why."""
        now, why = self._clock.monotonic(), reason(outcome, self._bus.health())
        waits = [self._retries.put_off(_place(row), now, _Obstacle(row.key.partner, outcome, why)) for row in missed]
        example = missed[0]
        self._log.warning(
            "not published",
            why=why,
            count=len(missed),
            transaction=example.key.id,
            type=example.type,
            again_in_seconds=round(waits[0], 1),
        )

    def _record(self, confirmed: list[OutboxRecord]) -> None:
        if not confirmed:
            return
        requests = [row.key for row in confirmed if row.type == "enrollment.request"]
        self._ledger.commit(units_for_confirmed([row.sequence for row in confirmed], requests, self._clock.now()))
