"""Ports of this machine that are kept for one test, also while nobody listens on them.

A socket that is bound and does not listen keeps a port: connections are refused, nobody finds it free, and a server
that asks for SO_REUSEADDR, as ours and those of RabbitMQ and PostgreSQL do, can listen on it all the same.
"""

from __future__ import annotations

import socket
from typing import Self

from agents.adapters.broker.host import HOST, free_ports
from agents.errors import UnreachableError

ATTEMPTS = 100


class KeptPort:
    """One port, kept until the end of the block."""

    def __init__(self) -> None:
        self._socket, self.number = _keep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


def _keep() -> tuple[socket.socket, int]:
    for _ in range(ATTEMPTS):
        (number,) = free_ports(1)
        keeper = socket.socket()
        try:
            keeper.bind((HOST, number))  # alone, so that of two who found it free one gets it
        except OSError:
            keeper.close()
            continue
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return keeper, number
    raise UnreachableError(f"no free port on {HOST} in {ATTEMPTS} attempts")
