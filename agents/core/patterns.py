"""Name patterns: which names a policy lets into a certificate.

A name is brought into one canonical form, octet for octet and without any repair, and then compared: DNS names with
a pattern, all other kinds with one whole name. Wildcards are never names here, so no pattern can admit one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Self

from protocol.csr import NameKind, SubjectName
from protocol.errors import NameSyntaxError
from protocol.names import DnsName, Name


class UriName(Name):
    """An absolute URI (RFC 3986; RFC 5280 section 4.2.1.6), compared octet by octet.

    No part of it is case-folded, decoded or resolved. The scheme of agent identities is refused: a channel certificate
    must never look like one.
    """

    kind = "URI name"
    grammar = re.compile(r"(?![Aa][Pp][Oo][Ss][Tt][Ii][Ll][Ll][Ee]:)[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]{1,2048}")
    wanted = "scheme:rest in the characters of RFC 3986, complete with scheme, which is not 'apostille'"


class EmailName(Name):
    """A mailbox with an unquoted local part (RFC 5280 section 4.2.1.6).

    The local part is compared exactly, the domain without regard to ASCII case (RFC 5280 section 7.5).
    """

    kind = "e-mail name"
    grammar = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[^@]+")
    wanted = "local@domain, the local part unquoted and at most 64 octets, the domain a DNS name"

    def __new__(cls, text: str) -> Self:
        """Lower the ASCII case of the domain, nothing else."""
        local, at, domain = text.partition("@")
        return super().__new__(cls, f"{local}{at}{domain.lower() if domain.isascii() else domain}")

    @classmethod
    def check(cls, text: str) -> bool:
        """Whether the local part is short enough and the domain is a DNS name."""
        local, _, domain = text.partition("@")
        return len(local) <= 64 and _is_dns_name(domain)  # noqa: PLR2004 (RFC 5321 section 4.5.3.1.1)


class IpName(Name):
    """One IP address in canonical text (RFC 5952 for version 6).

    An IPv4 address in IPv6 form (RFC 4291 section 2.5.5.2) is refused: software disagrees on whether the two are the
    same address.
    """

    kind = "IP name"
    grammar = re.compile(r"[0-9A-Fa-f:.]{2,45}")
    wanted = "one IPv4 or IPv6 address, no network, no zone, no IPv4-mapped IPv6 address"

    def __new__(cls, text: str) -> Self:
        """Write the address in its canonical form."""
        try:
            address = ip_address(text)
        except ValueError:
            raise NameSyntaxError(cls._problem(text)) from None
        return super().__new__(cls, str(address))

    @classmethod
    def check(cls, text: str) -> bool:
        """Whether it is one address in its own form."""
        address = ip_address(text)
        return not isinstance(address, IPv6Address) or address.ipv4_mapped is None


_CANONICAL: Mapping[NameKind, type[Name]] = MappingProxyType(
    {NameKind.DNS: DnsName, NameKind.URI: UriName, NameKind.EMAIL: EmailName, NameKind.IP: IpName}
)


def canonical(name: SubjectName) -> Name:
    """The one form in which this name is compared. Raises `NameSyntaxError` if it is none of its kind."""
    return _CANONICAL[name.kind](name.value)


class Reach(StrEnum):
    """How far below its base a DNS pattern reaches; the value is how that is written."""

    DESCENDANTS = "**."
    CHILDREN = "*."
    SELF = ""


@dataclass(frozen=True, slots=True)
class DnsPattern:
    """`a.example` is that name, `*.a.example` exactly one label more, `**.a.example` one or more labels more."""

    reach: Reach
    base: DnsName

    def covers(self, name: Name) -> bool:
        """Whether the pattern lets this canonical DNS name in."""
        if self.reach is Reach.SELF:
            return name == self.base
        if self.reach is Reach.CHILDREN:
            return name.partition(".")[2] == self.base
        # The labels of a DnsName are not empty, so at least one stands before the dot.
        return name.endswith(f".{self.base}")

    @property
    def kind(self) -> NameKind:
        """The kind of name that it lets in."""
        return NameKind.DNS

    def __str__(self) -> str:
        return f"{self.reach}{self.base}"


@dataclass(frozen=True, slots=True)
class ExactName:
    """One URI, e-mail address or IP address."""

    kind: NameKind
    value: Name

    def covers(self, name: Name) -> bool:
        """Whether this canonical name is the one."""
        return name == self.value

    def __str__(self) -> str:
        return str(self.value)


NamePattern = DnsPattern | ExactName


def parse_pattern(kind: NameKind, text: str) -> NamePattern:
    """The pattern that `text` means for names of this kind. Raises `NameSyntaxError`."""
    if kind is not NameKind.DNS:
        return ExactName(kind, canonical(SubjectName(kind, text)))
    reach = next(reach for reach in Reach if text.startswith(reach))
    return DnsPattern(reach, DnsName(text.removeprefix(reach)))


def covering(name: SubjectName, patterns: Iterable[NamePattern]) -> NamePattern | None:
    """The first pattern that lets this name in, as it stands in a request; None if none does or it is malformed."""
    try:
        form = canonical(name)
    except NameSyntaxError:
        return None
    return next((pattern for pattern in patterns if pattern.kind is name.kind and pattern.covers(form)), None)


def _is_dns_name(text: str) -> bool:
    try:
        return bool(DnsName(text))
    except NameSyntaxError:
        return False
