"""What is done once, over a connection of its own, for demonstrations, simulations and tests: agents do none of it.

A topology made where a broker is given by URL, the messages of a queue read, octets published as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import pika
from pika.exceptions import AMQPError

from agents.adapters.amqp.access import BrokerAccess, Timing
from agents.adapters.amqp.link import LinkSetting
from agents.adapters.amqp.publisher import Publisher
from agents.errors import ConfigurationError, UnreachableError
from agents.ports import Clock, Log, Outgoing, PublishOutcome
from protocol.names import OrganisationName
from protocol.topology import declarations

CLOSE_SECONDS = 1.0


def declare(url: str, issuer: OrganisationName, requesters: Iterable[OrganisationName]) -> None:
    """Make what is missing of the issuer's exchanges, queues and bindings in the virtual host of `url`.

    `url` holds the credentials of a user who may configure. Raises `ConfigurationError` if it is no URL of a broker, or
    if a queue of that name is in use: somebody else's messages are neither read nor lost. Raises `UnreachableError`.
    """
    wanted = declarations(issuer, requesters)
    try:
        with pika.BlockingConnection(_parameters(url)) as connection:
            channel = connection.channel()
            for exchange in wanted.exchanges:
                channel.exchange_declare(exchange.name, "direct", durable=True, internal=exchange.internal)
            for queue in wanted.queues:
                found = channel.queue_declare(queue.name, durable=True, arguments=queue.arguments).method
                _require_unused(queue.name, found.message_count, found.consumer_count)
            for binding in wanted.bindings:
                channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
    except (AMQPError, OSError) as error:
        raise UnreachableError(
            f"the broker that the environment names cannot be used ({type(error).__name__}: {error}). "
            "Check its URL, user and password, and that the user may configure that virtual host."
        ) from error


def _parameters(url: str) -> pika.URLParameters:
    try:
        return pika.URLParameters(url)
    except ValueError:
        # Not quoted, and not chained: pika's words may hold a part of the password.
        raise ConfigurationError(
            "the broker that the environment names has no usable URL: wanted amqp[s]://USER:PASSWORD@HOST:PORT/VHOST, "
            "with special characters percent-encoded."
        ) from None


def _require_unused(queue: str, messages: int, consumers: int) -> None:
    if messages or consumers:
        raise ConfigurationError(
            f"the queue {queue} in that virtual host has {messages} messages and {consumers} consumers: it is in use. "
            "Give a virtual host of its own in the URL."
        )


def read_queue(url: str, queue: str) -> tuple[bytes, ...]:
    """The bodies of all messages in `queue`, which stay there. `url` holds the credentials of a user who may read it.

    Each counts as delivered once more. Raises `UnreachableError`.
    """
    bodies = []
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        while (taken := channel.basic_get(queue))[0] is not None:
            bodies.append(taken[2])
        connection.close()
    except (AMQPError, OSError) as error:
        raise UnreachableError(
            f"queue {queue} cannot be read ({type(error).__name__}: {error}). Check the user's permissions."
        ) from error
    return tuple(bodies)


def post(broker: BrokerAccess, message: Outgoing, clock: Clock, log: Log) -> PublishOutcome:
    """Publish one message as it is, as whoever holds this login can: what others must withstand. Waits for the
    broker's word, or for the confirm deadline."""
    publisher = Publisher(LinkSetting(broker, "poster", Timing(), clock, log))
    publisher.start()
    try:
        return publisher.publish([message]).outcomes()[0]
    finally:
        publisher.begin_close()
        publisher.finish_close(CLOSE_SECONDS)
