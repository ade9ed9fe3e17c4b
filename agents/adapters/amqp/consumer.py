"""The consuming link: deliveries in, settlements out.

When a channel ends, the broker takes back what is not settled and delivers it again. Settling the old delivery then has
no effect: each carries a tag of its own, and only the latest of a message counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, cast

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker, ChannelClosedByClient, ConsumerCancelled

from agents.adapters.amqp.connection import GuardedConnection
from agents.adapters.amqp.link import Link, LinkSetting
from agents.ports import Delivery
from protocol.topology import MESSAGE_BYTES_MAX

PREFETCH = 256
"""Deliveries on their way or not yet settled: a few batches of the issuing pipeline."""

CALM_AFTER = 64
"""Messages settled one at a time, at the start and after trouble, before the prefetch is wide."""


class _Tag:
    """The token of one delivery: equal to itself only, while the broker's numbers begin anew with each channel."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Consumer(Link):
    """Consumes one queue.

    At the start and after an unexpected loss it is cautious and takes one message at a time: a loss, and be it by the
    end of the process, counts against the delivery limit of every message that was out, so one message that breaks us
    again and again would take its neighbours to the dead-letter queue. For the same reason `suspend` gives back what a
    wide prefetch brought only; while it is cautious it keeps the one message it has, to try it again.
    """

    def __init__(
        self, setting: LinkSetting, queue: str, prefetch: int = PREFETCH, calm_after: int = CALM_AFTER
    ) -> None:
        super().__init__(setting, "consume")
        self._queue = queue
        self._wide_prefetch = prefetch
        self._inbox: deque[Delivery] = deque()
        self._unsettled: dict[int, Delivery] = {}
        self._cautious_for = calm_after
        self._suspended_until = 0.0
        self._channel: Channel | None = None
        self._consumer_tags = (f"{setting.name} {number}" for number in count(1))
        self._consumer_tag = ""

    # --- for other threads

    def receive(self, limit: int, timeout: float) -> tuple[Delivery, ...]:
        """What has arrived, at most `limit`; waits up to `timeout` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_receive() or self._closing.is_set(), timeout)
            if self._closing.is_set() or not self._may_receive():
                return ()
            return tuple(self._inbox.popleft() for _ in range(min(limit, len(self._inbox))))

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove messages from the queue; stale and settled ones are skipped.

        One frame acknowledges all below the oldest unsettled delivery. It cannot take in a message that is not settled:
        whatever has left `_unsettled` is settled by this call, or by frames that were posted before.
        """
        with self._changed:
            tags = [tag for tag in map(self._settle, deliveries) if tag is not None]
            oldest = next(iter(self._unsettled), None)
            below = [tag for tag in tags if oldest is None or tag < oldest]
            above = [tag for tag in tags if oldest is not None and tag > oldest]
            if tags:
                self._grow_calm(len(tags))
                self.post(partial(_acknowledge, self._channel, max(below, default=None), above))

    def dead_letter(self, delivery: Delivery) -> None:
        """Reject without requeueing."""
        with self._changed:
            tag = self._settle(delivery)
            if tag is not None:
                self._grow_calm(1)
                self.post(partial(_reject, self._channel, tag))

    def suspend(self, seconds: float) -> None:
        """Deliver nothing for a while; what was delivered and not settled comes again afterwards."""
        with self._changed:
            self._suspended_until = self._clock.monotonic() + seconds
            if self._cautious_for:
                self._deliver_again()
                self.post(partial(self._later, seconds, self._wake))
            else:
                self.post(partial(_close, self._channel))
                self._forget_deliveries()
            self._cautious_for = CALM_AFTER
        self._log.warning("consuming suspended", seconds=seconds)

    def _may_receive(self) -> bool:
        return bool(self._inbox) and self._clock.monotonic() >= self._suspended_until

    def _settle(self, delivery: Delivery) -> int | None:
        """The number to settle, once."""
        tag = cast("_Tag", delivery.token)
        held = self._unsettled.get(tag.number)
        if held is None or held.token is not tag:
            return None
        del self._unsettled[tag.number]
        return tag.number

    def _forget_deliveries(self) -> None:
        """The broker takes back what is not settled."""
        self._channel = None
        self._inbox.clear()
        self._unsettled.clear()

    def _deliver_again(self) -> None:
        """As the broker would; what was handed out is stale."""
        for number, delivery in self._unsettled.items():
            self._unsettled[number] = replace(delivery, redelivered=True, token=_Tag(number))
        self._inbox = deque(self._unsettled.values())

    def _grow_calm(self, settled: int) -> None:
        """Count towards the wide prefetch.

        Consuming begins anew before the last settlement goes out: while the one message that we may have is not settled
        the broker sends no other, which would be rejected between two consumers, and counted.
        """
        if self._cautious_for:
            self._cautious_for = max(0, self._cautious_for - settled)
            if not self._cautious_for:
                self.post(partial(self._widen, self._channel))

    # --- on the thread of the link

    def _on_open(self, _: GuardedConnection) -> None:
        if self._clock.monotonic() < self._suspended_until:
            self._ready()
        self._resume()

    def _resume(self) -> None:
        """Open the channel, now or when the suspension is over."""
        left = self._suspended_until - self._clock.monotonic()
        if left > 0:
            self._later(left, self._resume)
        else:
            self._open_channel()

    def _on_channel(self, channel: Channel) -> None:
        with self._changed:
            self._forget_deliveries()
            self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_cancel_callback(self._on_cancelled)
        self._consume(channel)

    def _consume(self, channel: Channel) -> None:
        """Prefetch counts from the next consumer on, and quorum queues know no other kind of it. Each has a tag of its
        own: while one is cancelled, its tag is still taken."""
        if channel.is_open:
            channel.basic_qos(prefetch_count=1 if self._cautious_for else self._wide_prefetch)
            self._consumer_tag = next(self._consumer_tags)
            channel.basic_consume(
                self._queue, self._on_message, consumer_tag=self._consumer_tag, callback=lambda _: self._ready()
            )

    def _widen(self, channel: Channel) -> None:
        if channel.is_open:
            channel.basic_cancel(self._consumer_tag, callback=lambda _: self._consume(channel))

    def _on_message(self, channel: Channel, method: Any, _: object, body: bytes) -> None:
        number = method.delivery_tag
        if len(body) > MESSAGE_BYTES_MAX:
            self._log.warning("message too large, dead-lettered", size=len(body), largest=MESSAGE_BYTES_MAX)
            channel.basic_reject(number, requeue=False)
            return
        delivery = Delivery(body, method.redelivered, _Tag(number))
        with self._changed:
            if channel is self._channel:
                self._unsettled[number] = delivery
                self._inbox.append(delivery)
                self._changed.notify_all()

    def _on_cancelled(self, _: object) -> None:
        self._fail(ConsumerCancelled(f"queue '{self._queue}'"))

    def _on_channel_closed(self, _: Channel, reason: BaseException) -> None:
        if isinstance(reason, ChannelClosedByClient):
            self._resume()
        elif isinstance(reason, ChannelClosedByBroker):
            self._fail(reason)

    def _on_lost(self) -> None:
        with self._changed:
            self._forget_deliveries()
            if self._up_since is not None:
                self._cautious_for = CALM_AFTER

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _acknowledge(channel: Channel, below: int | None, above: Sequence[int]) -> None:
    if channel.is_open:
        with channel.connection.corked():
            if below is not None:
                channel.basic_ack(below, multiple=True)
            for tag in above:
                channel.basic_ack(tag)


def _reject(channel: Channel, tag: int) -> None:
    if channel.is_open:
        channel.basic_reject(tag, requeue=False)


def _close(channel: Channel | None) -> None:
    if channel is not None and channel.is_open:
        channel.close()
