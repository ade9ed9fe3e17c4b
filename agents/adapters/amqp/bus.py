"""The `Bus` port over AMQP 0-9-1: a publishing link and a consuming link, each with its own connection and thread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agents.adapters.amqp.access import BrokerAccess, Timing
from agents.adapters.amqp.consumer import CALM_AFTER, PREFETCH, Consumer
from agents.adapters.amqp.link import LinkSetting
from agents.adapters.amqp.publisher import Publisher
from agents.ports import Clock, Delivery, LinkHealth, Outgoing, Publication
from protocol.names import OrganisationName

if TYPE_CHECKING:
    from agents.ports import Log

_NEVER = datetime.min.replace(tzinfo=UTC)


class AmqpBus:
    """Connects as soon as it is made.

    Whatever the broker does shows in `health` and in the outcomes, never as an exception.
    """

    def __init__(  # noqa: PLR0913 - each is one fact of a link
        self,
        broker: BrokerAccess,
        organisation: OrganisationName,
        queue: str,
        clock: Clock,
        log: Log,
        *,
        timing: Timing | None = None,
        prefetch: int = PREFETCH,
        calm_after: int = CALM_AFTER,
    ) -> None:
        """Takes `calm_after` messages one at a time before the prefetch is as given."""
        name = f"apostille {organisation} {os.getpid()}"
        setting = LinkSetting(broker, name, timing or Timing(), clock, log)
        self._clock = clock
        self._publisher = Publisher(setting)
        self._consumer = Consumer(setting, queue, prefetch, calm_after)
        self._links = (self._publisher, self._consumer)
        for link in self._links:
            link.start()

    def publish(self, messages: Sequence[Outgoing]) -> Publication:
        """Hand messages over; returns at once. They wait for a connection until their confirm deadline."""
        return self._publisher.publish(messages)

    def receive(self, limit: int, timeout: float) -> tuple[Delivery, ...]:
        """What has arrived, at most `limit`; waits up to `timeout` seconds for the first."""
        return self._consumer.receive(limit, timeout)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove messages from the queue; stale ones are skipped."""
        self._consumer.acknowledge(deliveries)

    def dead_letter(self, delivery: Delivery) -> None:
        """Have the broker move the message to the dead-letter queue."""
        self._consumer.dead_letter(delivery)

    def suspend(self, seconds: float) -> None:
        """Stop consuming for a while; what is not settled is delivered again."""
        self._consumer.suspend(seconds)

    def wait_connected(self, timeout: float) -> bool:
        """Whether both links are up, waiting for them up to `timeout` seconds."""
        deadline = self._clock.monotonic() + timeout
        return all(link.wait_connected(max(0.0, deadline - self._clock.monotonic())) for link in self._links)

    def health(self) -> LinkHealth:
        """Both links as one: connected if both are; the time is that of the link that is worse off, and the error its
        own, or the later one."""
        publishing, consuming = (link.health() for link in self._links)
        down = [health for health in (publishing, consuming) if not health.connected]
        latest = max(down or (publishing, consuming), key=lambda health: health.last_error_at or _NEVER)
        return LinkHealth(
            connected=not down,
            blocked=publishing.blocked,
            last_error=latest.last_error,
            since=min((health.since for health in down), default=max(publishing.since, consuming.since)),
            last_error_at=latest.last_error_at,
        )

    def close(self, grace: float) -> None:
        """Close both links within `grace` seconds, or drop their sockets. Unknown for good: what was not confirmed."""
        deadline = self._clock.monotonic() + grace
        for link in self._links:
            link.begin_close()
        for link in self._links:
            link.finish_close(max(0.0, deadline - self._clock.monotonic()))
