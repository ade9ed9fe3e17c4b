"""Messages on their way, and what became of each. Shared by the thread that waits and the thread of the link."""

from __future__ import annotations

import threading
from typing import NamedTuple

from agents.ports import Clock, Outgoing, PublishOutcome


class PendingPublication:
    """A `Publication` whose outcomes arrive one by one. The first outcome of a message is its last."""

    def __init__(self, count: int, clock: Clock, deadline: float) -> None:
        self._outcomes: list[PublishOutcome | None] = [None] * count
        self._missing = count
        self._clock = clock
        self._deadline = deadline
        self._lock = threading.Lock()
        self._complete = threading.Event()
        if not count:
            self._complete.set()

    def done(self) -> bool:
        """Whether every outcome is known."""
        return self._complete.is_set() or self.expired(self._clock.monotonic())

    def outcomes(self) -> tuple[PublishOutcome, ...]:
        """One outcome per message, in order; waits for them, at most until the confirm deadline."""
        if not self._complete.wait(max(0.0, self._deadline - self._clock.monotonic())):
            self.abandon()
        return tuple(outcome or PublishOutcome.UNKNOWN for outcome in self._outcomes)

    def expired(self, now: float) -> bool:
        """Whether the confirm deadline has passed; `now` is of the monotonic clock."""
        return now >= self._deadline

    def settle(self, index: int, outcome: PublishOutcome) -> None:
        """Record the outcome of message number `index`, unless it has one."""
        with self._lock:
            if self._outcomes[index] is not None:
                return
            self._outcomes[index] = outcome
            self._missing -= 1
            if not self._missing:
                self._complete.set()

    def settled(self, index: int) -> bool:
        """Whether message number `index` has its outcome."""
        return self._outcomes[index] is not None

    def abandon(self) -> None:
        """What has no outcome yet is unknown for good."""
        for index in range(len(self._outcomes)):
            self.settle(index, PublishOutcome.UNKNOWN)


class Parcel(NamedTuple):
    """One message of a publication; a tuple, because thousands are made in a second."""

    message: Outgoing
    publication: PendingPublication
    position: int

    def settle(self, outcome: PublishOutcome) -> None:
        """Record what became of it."""
        self.publication.settle(self.position, outcome)

    def settled(self) -> bool:
        """Whether that is known already."""
        return self.publication.settled(self.position)

    def is_returned(self, exchange: object, routing_key: object, body: bytes) -> bool:
        """Whether the broker can mean this message. It gives back properties too, but those we never read."""
        message = self.message
        return (
            not self.settled()
            and message.routing_key == routing_key
            and message.exchange == exchange
            and message.body == body
        )
