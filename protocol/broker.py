"""Where a broker is: the one form in which configurations, invitations and command lines write it."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from protocol.errors import NameSyntaxError, Problem, ProblemCode, problem
from protocol.names import DnsName, Name, ascii_lower

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
"""The schemes, without and with TLS, and where a broker listens for each unless a port is named."""

_PORT_MAX = 65_535
_DOTTED_DECIMALS = re.compile(r"[0-9.]+")


class BrokerAddress(Name):
    """Scheme, host and port of a broker as a URL (RFC 3986 section 3). No user or password, which belong to one agent,
    and no path, which would be a virtual host: that follows from the issuer's name (`protocol.topology`).

    The host is a DNS name (`DnsName`), an IPv4 address in dotted decimals, or an IPv6 address in brackets, without a
    zone. Kept in lower case, with the port, and with IPv6 in its shortest form: the same text is the same broker.
    """

    kind = "broker address"
    grammar = re.compile(r"(amqps?)://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?")
    wanted = "amqp://HOST:PORT or amqps://HOST:PORT, without user, password or path"
    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`, upper case and a left out port included; raises `NameSyntaxError`, which shows no password."""
        parts = cls.grammar.fullmatch(ascii_lower(text))
        canonical = _canonical(*parts.groups()) if parts else None
        if canonical is None:
            raise NameSyntaxError(cls._problem(text))
        return str.__new__(cls, canonical)

    @classmethod
    def _problem(cls, text: str) -> Problem:
        fix = "Write the address of the broker and nothing else; a login is never part of it."
        return problem(ProblemCode.BAD_DATA_FORMAT, cls.kind, f"'{_without_login(text)}'", cls.wanted, fix)

    @property
    def is_tls(self) -> bool:
        """Whether the broker is spoken to in TLS."""
        return self.startswith("amqps:")

    @property
    def host(self) -> str:
        """The name or IP address to connect to, without brackets."""
        return self.partition("://")[2].rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.rpartition(":")[2])


def _canonical(scheme: str, host: str, port: str | None) -> str | None:
    number = int(port or DEFAULT_PORTS[scheme])
    try:
        return f"{scheme}://{_host(host)}:{number}" if number <= _PORT_MAX else None
    except ValueError:
        return None


def _host(text: str) -> str:
    """In its one form. Raises `ValueError` for what is neither an IP address nor a DNS name."""
    if text.startswith("["):
        return f"[{IPv6Address(text[1:-1])}]"
    return str(IPv4Address(text)) if _DOTTED_DECIMALS.fullmatch(text) else DnsName(text)


def _without_login(text: str) -> str:
    _, at, place = text.rpartition("@")
    return f"...@{place}" if at else text
