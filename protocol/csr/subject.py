"""The subject of a request (Name, RFC 5280 section 4.1.2.4): attributes one by one, text judged as raw octets.

Leaves out who may be called what: no subject is copied into a certificate, and common names are judged by the policy.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from protocol.csr import der
from protocol.csr.facts import SubjectAttribute
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode, RequestError

SUBJECT_ATTRIBUTES_MAX = 16
"""Most attributes in one subject; real ones have fewer than ten."""

_FIELD = "CSR subject"
_TEXT = (der.UTF8_STRING, der.PRINTABLE_STRING)
_PRINTABLE = (der.PRINTABLE_STRING,)
_IA5 = (der.IA5_STRING,)

# X.680 section 41.4; and ASCII without control characters.
_PRINTABLE_STRING = re.compile(rb"[A-Za-z0-9 '()+,./:=?-]*")
_PRINTABLE_ASCII = re.compile(rb"[\x20-\x7e]*")


class _AttributeType(NamedTuple):
    name: str
    string_types: tuple[int, ...]
    characters_max: int
    repeatable: bool = False
    characters_min: int = 1


# String types: RFC 5280 section 4.1.2.4 and appendix A.1, without the retired ones (TeletexString, BMPString,
# UniversalString). Lengths: the upper bounds of that appendix, and of X.520 where it gives none. Both count
# characters, of which UTF-8 writes one in up to four octets.
_TYPES = {
    "2.5.4.3": _AttributeType("common name", _TEXT, 64),
    "2.5.4.4": _AttributeType("surname", _TEXT, 64),
    "2.5.4.5": _AttributeType("serial number", _PRINTABLE, 64),
    "2.5.4.6": _AttributeType("country", _PRINTABLE, 2, characters_min=2),
    "2.5.4.7": _AttributeType("locality", _TEXT, 128),
    "2.5.4.8": _AttributeType("state or province", _TEXT, 128),
    "2.5.4.9": _AttributeType("street", _TEXT, 128, repeatable=True),
    "2.5.4.10": _AttributeType("organisation", _TEXT, 64),
    "2.5.4.11": _AttributeType("organisational unit", _TEXT, 64, repeatable=True),
    "2.5.4.12": _AttributeType("title", _TEXT, 64),
    "2.5.4.17": _AttributeType("postal code", _TEXT, 40),
    "2.5.4.42": _AttributeType("given name", _TEXT, 64),
    "2.5.4.46": _AttributeType("distinguished name qualifier", _PRINTABLE, 64),
    "2.5.4.97": _AttributeType("organisation identifier", _TEXT, 64),
    "0.9.2342.19200300.100.1.1": _AttributeType("user id", _TEXT, 256),
    "0.9.2342.19200300.100.1.25": _AttributeType("domain component", _IA5, 63, repeatable=True),
    "1.2.840.113549.1.9.1": _AttributeType("e-mail address", _IA5, 255),
}
_UNKNOWN = _AttributeType("attribute of unknown type", (*_TEXT, *_IA5), 256)


def parse_subject(name: der.Element) -> tuple[tuple[SubjectAttribute, ...], tuple[str, ...]]:
    """The attributes of known type, in order, and in words those of unknown type, which are left out.

    Raises `RequestError` for a relative distinguished name of several attributes (their order is not defined, so two
    readers can disagree), an attribute that stands twice, and text of another type, length or content than allowed.
    """
    relative_names = der.items(name, _FIELD, der.SET, SUBJECT_ATTRIBUTES_MAX, least=0)
    pairs = [_type_and_value(relative_name) for relative_name in relative_names]
    _refuse_repetition([oid for oid, _ in pairs])
    attributes = [SubjectAttribute(oid, _text(_TYPES.get(oid, _UNKNOWN), value)) for oid, value in pairs]
    known = tuple(attribute for attribute in attributes if attribute.oid in _TYPES)
    left_out = tuple(f"subject attribute {oid}: of unknown type" for oid, _ in pairs if oid not in _TYPES)
    return known, left_out


def _type_and_value(relative_name: der.Element) -> tuple[str, der.Element]:
    attributes = der.items(relative_name, _FIELD, der.SEQUENCE, SUBJECT_ATTRIBUTES_MAX)
    if len(attributes) > 1:
        raise _refused(f"{len(attributes)} attributes in one relative distinguished name", "one each, without '+'")
    parts = der.choices(attributes[0], _FIELD, most=2, least=2)
    if parts[0].tag != der.OBJECT_IDENTIFIER:
        raise _refused(f"attribute whose type is {der.tag_name(parts[0].tag)}", "OBJECT IDENTIFIER")
    return der.object_identifier(parts[0].content, _FIELD), parts[1]


def _refuse_repetition(oids: list[str]) -> None:
    for oid in oids:
        known = _TYPES.get(oid)
        if oids.count(oid) > 1 and not (known and known.repeatable):
            raise _refused(f"{known.name if known else oid} more than once", "each attribute once")


def _text(known: _AttributeType, value: der.Element) -> str:
    if value.tag not in known.string_types:
        raise _refused(f"{known.name} as {der.tag_name(value.tag)}", " or ".join(map(der.tag_name, known.string_types)))
    text = _decoded(value)
    if text is None:
        got, allowed = value.content.decode("latin-1"), f"{der.tag_name(value.tag)} of printable characters"
        raise _refused(f"{known.name} '{got}'", allowed)
    if not known.characters_min <= len(text) <= known.characters_max:
        allowed = f"{known.characters_min} to {known.characters_max} characters"
        raise _refused(f"{known.name} of {len(text)} characters", allowed)
    return text


def _decoded(value: der.Element) -> str | None:
    """The text; None where an octet is not allowed. Controls and text direction marks are not printable."""
    if value.tag == der.UTF8_STRING:
        try:
            text = value.content.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None
    grammar = _PRINTABLE_STRING if value.tag == der.PRINTABLE_STRING else _PRINTABLE_ASCII
    return value.content.decode("ascii") if grammar.fullmatch(value.content) else None


def _refused(got: str, allowed: str) -> RequestError:
    return refusal(ProblemCode.BAD_CERT_TEMPLATE, _FIELD, got, allowed)
