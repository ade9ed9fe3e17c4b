"""Subject alternative names of a request (RFC 5280 section 4.2.1.6): four kinds, octets as they are.

Leaves out which names are allowed, and even what a DNS name is: `protocol.names` and the policy know that.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from protocol.csr import der
from protocol.csr.facts import NameKind, SubjectName
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode, RequestError

NAMES_MAX = 128
"""Most names in one request: bounds what a policy has to judge and a certificate to carry."""

NAME_OCTETS_MAX = 2048
"""Longest name, in octets: the longest URI that the SPIFFE ID specification allows (section 2.3)."""

_FIELD = "CSR subject alternative name"
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_TEXT_KINDS = {_EMAIL: NameKind.EMAIL, _DNS: NameKind.DNS, _URI: NameKind.URI}
_REFUSED_KINDS = {
    0xA0: "an otherName",
    0xA3: "an x400Address",
    0xA4: "a directoryName",
    0xA5: "an ediPartyName",
    0x88: "a registeredID",
}
_PRINTABLE_WITHOUT_SPACE = re.compile(rb"[\x21-\x7e]+")


def parse_names(extension_value: bytes) -> tuple[SubjectName, ...]:
    """The names, in order.

    Raises `RequestError` for none at all, another kind, octets that are not printable ASCII without spaces, an address
    of the wrong length or an IPv4 address in IPv6 form, and a name that stands twice, DNS names in any case of letters.
    """
    sequence = der.only_element(extension_value, der.SEQUENCE, _FIELD)
    names = tuple(_name(element) for element in der.choices(sequence, _FIELD, NAMES_MAX))
    compared = [_as_compared(name) for name in names]
    if twice := [name for name, form in zip(names, compared, strict=True) if compared.count(form) > 1]:
        raise _refused(f"{twice[-1]} more than once", "each name once")
    return names


def _as_compared(name: SubjectName) -> SubjectName:
    """DNS names are one whatever the case of their letters (RFC 4343)."""
    return SubjectName(name.kind, name.value.lower()) if name.kind is NameKind.DNS else name


def _name(element: der.Element) -> SubjectName:
    if element.tag == _IP:
        return SubjectName(NameKind.IP, _address(element.content))
    kind = _TEXT_KINDS.get(element.tag)
    if kind is None:
        got = _REFUSED_KINDS.get(element.tag, f"a name with {der.tag_name(element.tag)}")
        raise _refused(got, "DNS names, URIs, e-mail addresses and IP addresses")
    if len(element.content) > NAME_OCTETS_MAX or not _PRINTABLE_WITHOUT_SPACE.fullmatch(element.content):
        raise _refused(
            f"{kind}:{element.content.decode('latin-1')}",
            f"1 to {NAME_OCTETS_MAX} octets of printable ASCII without spaces",
        )
    return SubjectName(kind, element.content.decode("ascii"))


def _address(packed: bytes) -> str:
    try:
        address = ip_address(packed)
    except ValueError as error:
        raise _refused(f"an IP address of {len(packed)} octets", "4 octets (IPv4) or 16 (IPv6)") from error
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise _refused(f"{address}, an IPv4 address in IPv6 form", "the IPv4 address in its own form")
    return str(address)


def _refused(got: str, allowed: str) -> RequestError:
    fix = "Request only names of the allowed kinds, each written once in its standard form."
    return refusal(ProblemCode.BAD_CERT_TEMPLATE, _FIELD, got, allowed, fix)
