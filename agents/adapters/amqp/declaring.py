"""Makes the topology on a broker given by URL, for demonstrations and tests: agents themselves declare nothing."""

from __future__ import annotations

from collections.abc import Iterable

import pika
from pika.exceptions import AMQPError

from agents.errors import ConfigurationError, UnreachableError
from protocol.names import OrganisationName
from protocol.topology import declarations


def declare_anew(url: str, issuer: OrganisationName, requesters: Iterable[OrganisationName]) -> None:
    """Make the issuer's exchanges, queues and bindings in the virtual host of `url`, empty: what has these names is
    deleted first. `url` holds the credentials of a user who may configure. Raises `UnreachableError`, or
    `ConfigurationError` if it is no URL of a broker.
    """
    wanted = declarations(issuer, requesters)
    try:
        parameters = pika.URLParameters(url)
    except ValueError:
        # Not quoted, and not chained: pika's words may hold a part of the password.
        raise ConfigurationError(
            "the broker that the environment names has no usable URL: wanted amqp[s]://USER:PASSWORD@HOST:PORT/VHOST, "
            "with special characters percent-encoded."
        ) from None
    try:
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        for queue in wanted.queues:
            channel.queue_delete(queue.name)
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        for exchange in wanted.exchanges:
            channel.exchange_delete(exchange.name)
            channel.exchange_declare(exchange.name, "direct", durable=True, internal=exchange.internal)
        for binding in wanted.bindings:
            channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
        connection.close()
    except (AMQPError, OSError) as error:
        raise UnreachableError(
            f"the broker that the environment names cannot be used ({type(error).__name__}: {error}). "
            "Check its URL, user and password, and that the user may configure that virtual host."
        ) from error
