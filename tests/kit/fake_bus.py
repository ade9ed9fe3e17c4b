"""A broker in memory, with the semantics of the real one as far as the `Bus` port shows them.

It can do at will what a real one does at bad moments: lose links, swallow confirms, block, be down.
`tests/contract/test_bus_contract.py` holds it to the same behaviour as the real adapter.
"""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agents.ports import Delivery, LinkHealth, PublishOutcome
from protocol.topology import DELIVERY_LIMIT, MESSAGE_BYTES_MAX, Declarations, dead_letter_queue


@dataclass
class Held:
    """A message in a queue, how often a lost link brought it back, and whether it was out at all."""

    body: bytes
    returns: int = 0
    delivered: bool = False


@dataclass
class FakePublication:
    """Outcomes of one `publish`; None while the broker has not spoken."""

    changed: threading.Condition
    deadline: float
    known: list = field(default_factory=list)

    def done(self):
        with self.changed:
            return None not in self.known or time.monotonic() >= self.deadline

    def outcomes(self):
        with self.changed:
            self.changed.wait_for(lambda: None not in self.known, max(0.0, self.deadline - time.monotonic()))
            self.known = [outcome or PublishOutcome.UNKNOWN for outcome in self.known]
            return tuple(self.known)


class FakeBroker:
    """Queues and routes, made from the same declarations as on a real broker."""

    def __init__(self, declarations: Declarations, confirm=5.0):
        self.changed = threading.Condition()
        self.confirm = confirm
        self.exchanges = {exchange.name for exchange in declarations.exchanges if not exchange.internal}
        self.queues = {queue.name: deque() for queue in declarations.queues}
        self.routes = {(each.exchange, each.routing_key): each.queue for each in declarations.bindings}
        self.buses = []
        self.up = True
        self.blocked = None
        self.full = set()
        """Queues that take nothing more."""
        self.published = Counter()
        """How often each body was published, confirmed or not."""
        self._unconfirmed = 0

    def bus(self, queue):
        """A bus that consumes `queue`."""
        bus = FakeBus(self, queue)
        self.buses.append(bus)
        return bus

    def swallow_confirms(self, count):
        """Take the next `count` messages and never confirm them: their outcome is unknown at once."""
        with self.changed:
            self._unconfirmed += count

    def lose_links(self):
        """Every connection breaks, and is made again."""
        with self.changed:
            for bus in self.buses:
                bus.give_back()
            self.changed.notify_all()

    def go_down(self):
        """No connection until `come_up`. Messages in queues stay."""
        with self.changed:
            self.up = False
        self.lose_links()

    def come_up(self):
        """Back again; what waits and has not expired is published."""
        with self.changed:
            self.up = True
            self._resume()

    def block(self, reason):
        """Take no messages (None: take them again); consuming goes on."""
        with self.changed:
            self.blocked = reason
            self._resume()

    def depth(self, queue):
        """Messages that wait in a queue; those delivered and not settled do not count."""
        with self.changed:
            return len(self.queues[queue])

    def take(self, message):
        """Accept one message; None if the answer got lost."""
        self.published[message.body] += 1
        queue = self.routes.get((message.exchange, message.routing_key))
        if len(message.body) > MESSAGE_BYTES_MAX or message.exchange not in self.exchanges:
            return PublishOutcome.REFUSED
        if queue is None:
            return PublishOutcome.RETURNED
        if queue in self.full:
            return PublishOutcome.NACKED
        self.queues[queue].append(Held(message.body))
        if self._unconfirmed:
            self._unconfirmed -= 1
            return PublishOutcome.UNKNOWN
        return PublishOutcome.CONFIRMED

    def take_back(self, queue, held, cost):
        """A message that was delivered and not settled: in front again, or dead."""
        held.returns += cost
        if held.returns > DELIVERY_LIMIT:
            self.bury(queue, held)
        else:
            self.queues[queue].appendleft(held)

    def bury(self, queue, held):
        """Into the dead-letter queue."""
        self.queues[dead_letter_queue(queue)].append(Held(held.body))

    def _resume(self):
        for bus in self.buses:
            bus.pump()
        self.changed.notify_all()


class FakeBus:
    """The `Bus` port over a `FakeBroker`."""

    def __init__(self, broker, queue):
        self._broker = broker
        self._changed = broker.changed
        self._queue = queue
        self._waiting = deque()
        self._unsettled = {}
        self._generation = self._tag = 0
        self._suspended_until = 0.0
        self._closed = False
        self._since = datetime.now(UTC)

    def publish(self, messages):
        with self._changed:
            publication = FakePublication(
                self._changed, time.monotonic() + self._broker.confirm, [None] * len(messages)
            )
            self._waiting += ((publication, number, message) for number, message in enumerate(messages))
            if self._closed:
                publication.known = [PublishOutcome.UNKNOWN] * len(messages)
            self.pump()
            return publication

    def pump(self):
        """Publish what waits, if the broker takes messages."""
        while self._waiting and self._broker.up and not self._broker.blocked and not self._closed:
            publication, number, message = self._waiting.popleft()
            if publication.known[number] is None and time.monotonic() < publication.deadline:
                publication.known[number] = self._broker.take(message)
        self._changed.notify_all()

    def receive(self, limit, timeout):
        with self._changed:
            self._wait_for_messages(time.monotonic() + timeout)
            if self._closed or not self._may_receive():
                return ()
            ready = self._broker.queues[self._queue]
            return tuple(self._deliver(ready.popleft()) for _ in range(min(limit, len(ready))))

    def acknowledge(self, deliveries):
        with self._changed:
            for delivery in deliveries:
                self._settle(delivery)

    def dead_letter(self, delivery):
        with self._changed:
            if held := self._settle(delivery):
                self._broker.bury(self._queue, held)

    def suspend(self, seconds):
        with self._changed:
            self.give_back(cost=0)
            self._suspended_until = time.monotonic() + seconds

    def wait_connected(self, timeout):
        with self._changed:
            return self._changed.wait_for(lambda: self._broker.up and not self._closed, timeout)

    def health(self):
        with self._changed:
            up = self._broker.up and not self._closed
            return LinkHealth(up, self._broker.blocked, None if up else "the broker is down", self._since)

    def close(self, grace):
        with self._changed:
            self._closed = True
            self.give_back()
            for publication, number, _ in self._waiting:
                publication.known[number] = publication.known[number] or PublishOutcome.UNKNOWN
            self._waiting.clear()
            self._changed.notify_all()

    def give_back(self, cost=1):
        """What is not settled goes back into the queue, its deliveries are stale. A lost link counts as a return."""
        self._generation += 1
        for held in reversed(self._unsettled.values()):
            self._broker.take_back(self._queue, held, cost)
        self._unsettled.clear()

    def _wait_for_messages(self, deadline):
        """Wakes for the end of a suspension too, which nobody announces."""
        while not self._closed and not self._may_receive() and (left := deadline - time.monotonic()) > 0:
            resumes = self._suspended_until - time.monotonic()
            self._changed.wait(min(left, resumes) if resumes > 0 else left)

    def _may_receive(self):
        ready = self._broker.queues[self._queue]
        return bool(ready) and self._broker.up and time.monotonic() >= self._suspended_until

    def _deliver(self, held):
        self._tag += 1
        self._unsettled[self._tag] = held
        delivery = Delivery(held.body, held.delivered, (self._generation, self._tag))
        held.delivered = True
        return delivery

    def _settle(self, delivery):
        generation, tag = delivery.token
        return self._unsettled.pop(tag, None) if generation == self._generation else None
