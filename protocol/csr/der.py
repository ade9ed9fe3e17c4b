"""A strict walk over DER (X.690 section 10): elements with their exact bytes, and nothing tolerated.

One octet of tag, the shortest definite length, nothing left over. The walk never descends by itself: depth is what the
caller spells out, so nesting cannot be used against it. It exists beside `cryptography` because a signature must be
verified over the bytes received, which the library's parsers do not give, and because every refusal has to say where.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from protocol.csr.refusals import malformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x01, 0x02, 0x03, 0x04, 0x06
UTF8_STRING, PRINTABLE_STRING, IA5_STRING = 0x0C, 0x13, 0x16
SEQUENCE, SET, CONTEXT_0 = 0x30, 0x31, 0xA0

OID_OCTETS_MAX = 40
"""Longest encoded object identifier; longer than any in use, and short enough to be printed."""

_HIGH_TAG_NUMBER = 0x1F
_TAG_NAMES = {
    BOOLEAN: "BOOLEAN",
    INTEGER: "INTEGER",
    BIT_STRING: "BIT STRING",
    OCTET_STRING: "OCTET STRING",
    OBJECT_IDENTIFIER: "OBJECT IDENTIFIER",
    UTF8_STRING: "UTF8String",
    PRINTABLE_STRING: "PrintableString",
    IA5_STRING: "IA5String",
    SEQUENCE: "SEQUENCE",
    SET: "SET",
    CONTEXT_0: "[0]",
}


class Element(NamedTuple):
    """One tag, length and value: the tag octet, the content, and the whole encoding as received."""

    tag: int
    content: bytes
    encoded: bytes


def only_element(data: bytes, tag: int, field: str) -> Element:
    """The one element with `tag` that `data` is, without a byte more. Raises `RequestError`."""
    found = _elements(data, 1, field)
    _expect_tags(found, (tag,), field)
    return found[0]


def members(parent: Element, field: str, *tags: int) -> list[Element]:
    """The members of a SEQUENCE whose types are exactly `tags`, in order. Raises `RequestError`."""
    found = _elements(parent.content, len(tags), field)
    _expect_tags(found, tags, field)
    return found


def items(parent: Element, field: str, tag: int, most: int, least: int = 1) -> list[Element]:
    """The `least` to `most` members, each with `tag`, of a SEQUENCE OF or SET OF. Raises `RequestError`."""
    found = choices(parent, field, most, least)
    _expect_tags(found, (tag,) * len(found), field)
    return found


def choices(parent: Element, field: str, most: int, least: int = 1) -> list[Element]:
    """The `least` to `most` members of any type. Raises `RequestError`."""
    found = _elements(parent.content, most, field)
    if len(found) < least:
        raise malformed(field, f"{len(found)} entries", f"{least} to {most} entries")
    return found


def bit_string(element: Element, field: str) -> bytes:
    """The octets of a BIT STRING that has no unused bits. Raises `RequestError`."""
    if element.content[:1] != b"\0":
        raise malformed(field, "a BIT STRING with unused bits, or without content", "whole octets")
    return element.content[1:]


def positive_integer(element: Element, field: str) -> int:
    """The value of a positive INTEGER in its shortest form (X.690 section 8.3.2). Raises `RequestError`."""
    value = int.from_bytes(element.content, "big", signed=True)
    if value <= 0 or len(element.content) != value.bit_length() // 8 + 1:
        raise malformed(field, "an INTEGER that is not positive or not in its shortest form", "a positive INTEGER")
    return value


@lru_cache(maxsize=1024)
def object_identifier(content: bytes, field: str) -> str:
    """An object identifier in dotted form (X.690 section 8.19). Raises `RequestError`."""
    if not 0 < len(content) <= OID_OCTETS_MAX or content[-1] & 0x80:
        raise malformed(field, "an object identifier of the wrong length", f"1 to {OID_OCTETS_MAX} whole octets")
    arcs: list[int] = []
    for before, octet in zip(b"\0" + content, content, strict=False):
        begins = not before & 0x80
        if begins and octet == 0x80:  # noqa: PLR2004
            raise malformed(field, "an object identifier with a padded arc", "arcs in their shortest form")
        if begins:
            arcs.append(0)
        arcs[-1] = arcs[-1] << 7 | octet & 0x7F
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def tag_name(tag: int) -> str:
    """The name of an ASN.1 type, for people."""
    return _TAG_NAMES.get(tag, f"tag 0x{tag:02x}")


def _expect_tags(found: list[Element], tags: tuple[int, ...], field: str) -> None:
    got = tuple(element.tag for element in found)
    if got != tags:
        raise malformed(field, ", ".join(map(tag_name, got)) or "nothing", ", ".join(map(tag_name, tags)))


def _elements(data: bytes, most: int, field: str) -> list[Element]:
    found: list[Element] = []
    position = 0
    while position < len(data):
        if len(found) == most:
            raise malformed(field, f"more than {most} entries, or bytes after the end", f"at most {most}")
        start, end = _content_bounds(data, position, field)
        found.append(Element(data[position], data[start:end], data[position:end]))
        position = end
    return found


def _content_bounds(data: bytes, position: int, field: str) -> tuple[int, int]:
    """Where the content of the element at `position` begins and ends (X.690 sections 8.1.3 and 10.1)."""
    header = data[position : position + 2]
    if len(header) < 2 or header[0] & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:  # noqa: PLR2004
        raise malformed(field, "an element without a length, or with a tag of several octets", "DER")
    start, length = position + 2, header[1]
    if length & 0x80:
        octets = length & 0x7F
        start, length = start + octets, int.from_bytes(data[start : start + octets], "big")
        if length < 0x80 or length >> 8 * (octets - 1) == 0:  # noqa: PLR2004
            raise malformed(field, "a length that is indefinite or not in its shortest form", "DER")
    if start + length > len(data):
        raise malformed(field, "an element that ends before its length says", "DER, complete")
    return start, start + length
