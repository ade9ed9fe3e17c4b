"""The publishing link: mandatory, persistent, confirmed.

A message waits here until there is a connection, the broker takes messages and the window has room, or until its
confirm deadline has passed. Once sent it is confirmed, nacked, refused or returned by the broker, or unknown.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from pika.channel import Channel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import Basic, BasicProperties

from agents.adapters.amqp.connection import GuardedConnection
from agents.adapters.amqp.link import Link, LinkSetting
from agents.adapters.amqp.publication import Parcel, PendingPublication
from agents.adapters.amqp.trouble import describe
from agents.ports import Outgoing, PublishOutcome
from protocol.errors import printable
from protocol.topology import MESSAGE_BYTES_MAX

WINDOW = 1024
"""Most messages sent and not yet confirmed: bounds what piles up in memory when the broker goes silent."""

CONTENT_TYPE = "application/jose+json"
"""What an envelope is (RFC 7515 section 9.2.1)."""

_PERSISTENT = 2


class Publisher(Link):
    """Publishes on one channel in confirm mode.

    The broker answers a message that it will not take, say for its size, by closing the channel, and does not say which
    one it was. All that was under way is then sent again one by one (receivers must expect duplicates anyway), so that
    the culprit is alone when the channel closes once more, and only it is refused.
    """

    def __init__(self, setting: LinkSetting) -> None:
        super().__init__(setting, "publish")
        self._user = setting.access.user
        self._waiting: deque[Parcel] = deque()
        self._waiting_lock = threading.Lock()
        self._channel: Channel | None = None
        self._outstanding: dict[int, Parcel] = {}
        self._last_tag = 0
        self._suspects = 0

    # --- for other threads

    def publish(self, messages: Sequence[Outgoing]) -> PendingPublication:
        """Hand messages over; returns at once. A message that is too large is refused without asking the broker."""
        now = self._clock.monotonic()
        publication = PendingPublication(len(messages), self._clock, now + self._timing.confirm)
        parcels = [Parcel(message, publication, position) for position, message in enumerate(messages)]
        with self._waiting_lock:
            self._drop_expired(now)
            self._waiting.extend(parcel for parcel in parcels if self._fits(parcel))
        if self._closing.is_set():
            publication.abandon()
        self.post(self._pump)
        return publication

    def _fits(self, parcel: Parcel) -> bool:
        size = len(parcel.message.body)
        if size <= MESSAGE_BYTES_MAX:
            return True
        self._log.error("message too large", size=size, largest=MESSAGE_BYTES_MAX, type=parcel.message.type)
        parcel.settle(PublishOutcome.REFUSED)
        return False

    def _drop_expired(self, now: float) -> None:
        """Without a connection nobody else clears the queue; deadlines grow along it."""
        while self._waiting and self._waiting[0].publication.expired(now):
            self._waiting.popleft().settle(PublishOutcome.UNKNOWN)

    # --- on the thread of the link: sending

    def _pump(self) -> None:
        """Send what waits, as far as the window allows."""
        if self._channel is None or self._health.blocked is not None:
            return
        now = self._clock.monotonic()
        self._forget_unconfirmed(now)
        connection = self._connection
        with self._waiting_lock:
            self._drop_expired(now)
            room = max(0, (1 if self._suspects else WINDOW) - len(self._outstanding))
            parcels = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if connection is not None and parcels:
            with connection.corked():
                for parcel in parcels:
                    self._send(self._channel, parcel)

    def _send(self, channel: Channel, parcel: Parcel) -> None:
        message = parcel.message
        properties = BasicProperties(
            content_type=CONTENT_TYPE,
            delivery_mode=_PERSISTENT,
            correlation_id=message.correlation_id,
            message_id=message.message_id,
            type=message.type,
            user_id=self._user,
        )
        try:
            channel.basic_publish(message.exchange, message.routing_key, message.body, properties, mandatory=True)
        except (AMQPError, AssertionError, ValueError) as error:
            self._note(f"message {message.message_id} cannot be written as AMQP: {error!r}")
            parcel.settle(PublishOutcome.REFUSED)
            return
        self._last_tag += 1
        self._outstanding[self._last_tag] = parcel

    def _forget_unconfirmed(self, now: float) -> None:
        """Confirms that never came: the link may be healthy, and the queue without a majority of its members."""
        late = list(takewhile(lambda tag: self._outstanding[tag].publication.expired(now), self._outstanding))
        for tag in late:
            self._settle(tag, PublishOutcome.UNKNOWN)
        if late:
            self._note(self._why_late(len(late)))

    def _why_late(self, count: int) -> str:
        messages = "1 message" if count == 1 else f"{count} messages"
        if self._health.blocked is not None:
            return f"The broker blocked publishing ({self._health.blocked}) before it confirmed {messages}: sent again."
        fix = "What was not confirmed is sent again. Ask the broker's operator whether the queue has its quorum"
        return f"The broker did not confirm {messages} within {self._timing.confirm:g} s. {fix}."

    def _settle(self, tag: int, outcome: PublishOutcome) -> None:
        parcel = self._outstanding.pop(tag, None)
        if parcel is not None:
            parcel.settle(outcome)
            self._suspects = max(0, self._suspects - 1)

    # --- on the thread of the link: what the broker says

    def _on_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=partial(self._on_confirm_mode, channel))

    def _on_open(self, connection: GuardedConnection) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        super()._on_open(connection)

    def _on_confirm_mode(self, channel: Channel, _: object) -> None:
        self._channel, self._last_tag = channel, 0
        self._ready()
        self._pump()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        outcome = PublishOutcome.CONFIRMED if isinstance(method, Basic.Ack) else PublishOutcome.NACKED
        if method.multiple:
            for tag in list(takewhile(method.delivery_tag.__ge__, self._outstanding)):
                self._settle(tag, outcome)
        else:
            self._settle(method.delivery_tag, outcome)
        if self._waiting:
            self._pump()

    def _on_return(self, _: Channel, method: Any, __: object, body: bytes) -> None:
        for parcel in self._outstanding.values():
            if parcel.is_returned(method.exchange, method.routing_key, body):
                parcel.settle(PublishOutcome.RETURNED)
                return

    def _on_blocked(self, _: object, frame: Any) -> None:
        reason = printable(frame.method.reason) or "no reason given"
        self._show(connected=self._health.connected, blocked=reason)
        self._log.warning("broker blocks publishing", reason=reason)

    def _on_unblocked(self, _: object, __: object) -> None:
        self._forget_unconfirmed(self._clock.monotonic())
        self._show(connected=self._health.connected, blocked=None)
        self._log.info("broker takes messages again")
        self._pump()

    def _on_channel_closed(self, _: Channel, reason: BaseException) -> None:
        if not isinstance(reason, ChannelClosedByBroker):
            return  # the whole connection goes; `_on_lost` follows
        under_way = list(self._outstanding.values())
        self._outstanding.clear()
        self._channel = None
        self._note(describe(reason, self._access).text)
        if not under_way:
            self._fail(reason)
        elif len(under_way) == 1:
            under_way[0].settle(PublishOutcome.REFUSED)
            self._suspects = max(0, self._suspects - 1)
        else:
            self._send_one_by_one(under_way)
        self._open_channel()

    def _send_one_by_one(self, parcels: list[Parcel]) -> None:
        suspects = [parcel for parcel in parcels if not parcel.settled()]
        self._suspects = len(suspects)
        with self._waiting_lock:
            self._waiting.extendleft(reversed(suspects))

    def _on_lost(self) -> None:
        self._channel, self._suspects = None, 0
        lost = list(self._outstanding.values())
        self._outstanding.clear()
        if self._closing.is_set():
            with self._waiting_lock:
                lost += self._waiting
                self._waiting.clear()
        for parcel in lost:
            parcel.settle(PublishOutcome.UNKNOWN)
