"""A TCP connection to a partner's endpoint within a deadline, and deadlines as such."""

from __future__ import annotations

import socket

from agents.errors import UnreachableError
from agents.ports import Clock
from protocol.errors import printable
from protocol.messages import Endpoint


class Deadline:
    """A moment by which something must be done, however many steps it takes."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, more than none. Raises `TimeoutError` if there are none."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def connect(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    """A connection to the first address of the host that answers; each gets its share of the time that is left.

    The resolver of the system keeps its own time. Raises `UnreachableError` with what every address said.
    """
    failures = []
    try:
        addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        for tried, (family, _, _, _, address) in enumerate(addresses):
            try:
                return _connect(family, address, deadline.remaining() / (len(addresses) - tried))
            except OSError as error:
                failures.append(f"{address[0]}: {_reason(error)}")
    except socket.gaierror as error:
        failures.append(f"no address for the name ({printable(error.strerror or error)})")
    raise UnreachableError(
        f"cannot connect to {endpoint}: {'; '.join(failures)}. Is the partner's daemon running, and does the network "
        "between let this port through? The endpoint comes from the partner's last enrollment reply."
    )


def _connect(family: int, address: tuple[object, ...], timeout: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or our statement waits 40 ms for the last ACK
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else printable(error.strerror or error)
