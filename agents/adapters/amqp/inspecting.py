"""Looks at the messages of a queue and leaves them there, for whoever may read it: dead letters, after a simulation."""

from __future__ import annotations

import pika
from pika.exceptions import AMQPError

from agents.errors import UnreachableError


def read_queue(url: str, queue: str) -> tuple[bytes, ...]:
    """The bodies of all messages in `queue`. `url` holds the credentials of a user who may read it.

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
