"""Publishes octets as they are given, as whoever holds a login can: what others must withstand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.adapters.amqp.access import BrokerAccess, Timing
from agents.adapters.amqp.link import LinkSetting
from agents.adapters.amqp.publisher import Publisher
from agents.ports import Clock, Outgoing, PublishOutcome

if TYPE_CHECKING:
    from agents.ports import Log

CLOSE_SECONDS = 1.0


def post(broker: BrokerAccess, message: Outgoing, clock: Clock, log: Log) -> PublishOutcome:
    """Publish one message on a connection of its own; waits for the broker's word, or for the confirm deadline."""
    publisher = Publisher(LinkSetting(broker, "poster", Timing(), clock, log))
    publisher.start()
    try:
        return publisher.publish([message]).outcomes()[0]
    finally:
        publisher.begin_close()
        publisher.finish_close(CLOSE_SECONDS)
