"""How much a stranger may cost us: sizes, times and numbers of connections, each with unit and reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

HEADERS_MAX = 8192
"""Largest head of a request or response, in bytes (give or take one read): ours have about 200."""

BODY_MAX = 8192
"""Largest body, in bytes: room for a statement with a hundred names."""

READ_SIZE = 1024
"""Bytes taken out of TLS at a time; small, so that the limits above are noticed soon."""

RECORD_SIZE = 16_640
"""Bytes taken from the network at a time: one TLS record (RFC 8446 section 5.2: 2^14 + 256)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the listener grants. Times are seconds and absolute: a byte now and then does not extend them."""

    handshake: float = 5.0
    """From the TCP connection to the end of the TLS handshake; a round trip around the earth takes 0.4."""
    first_request: float = 5.0
    """From the admission to the end of the request."""
    exchange: float = 15.0
    """From the TCP connection to its end."""
    linger: float = 1.0
    """For the client to take our last words before the connection is cut."""
    half_open_per_address: int = 8
    """Handshakes in progress with one address, so that one host cannot use up the next number."""
    half_open: int = 128
    """Handshakes in progress in all."""
    connections: int = 512
    """Connections in all; each costs one file descriptor and about 50 kB."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What the dialer grants, in absolute seconds."""

    connect: float = 5.0
    """For name resolution and TCP, over all addresses of the host."""
    handshake: float = 5.0
    exchange: float = 10.0
    """From the handshake to the end of the answer."""


class Occupancy:
    """Who holds how many connections. Not thread-safe: belongs to the listener's event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._half_open: Counter[str] = Counter()
        self._open = 0

    def enter(self, address: str) -> str | None:
        """Count a new connection in, as half open. Returns why not if there is no room; then it is not counted."""
        if self._open >= self._limits.connections:
            return f"{self._open} connections are open"
        if self._half_open.total() >= self._limits.half_open:
            return f"{self._half_open.total()} handshakes are in progress"
        if self._half_open[_host(address)] >= self._limits.half_open_per_address:
            return f"{self._half_open[_host(address)]} handshakes are in progress with this address"
        self._half_open[_host(address)] += 1
        self._open += 1
        return None

    def handshake_over(self, address: str) -> None:
        """Count a handshake as done, well or badly."""
        self._half_open[_host(address)] -= 1
        self._half_open += Counter()  # forgets addresses at zero: memory does not grow with visitors

    def leave(self) -> None:
        """Count a connection out."""
        self._open -= 1


def _host(address: str) -> str:
    """What one host can choose freely is one address: all of an IPv6 /64 (RFC 4291 section 2.5.4) counts as one."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address) or ip.ipv4_mapped:
        return str(ip)
    return f"{int(ip) >> 64:x}::/64"
