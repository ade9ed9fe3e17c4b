"""Attributes of a request (RFC 2986 section 4.1): one list of extensions, and things that are left out.

Tolerated, because real tools write it and it changes nothing: attributes in any order (DER sorts a SET OF; every
attribute stands once, so order has no meaning), a challenge password, and the notes that Windows adds about itself.
Refused, because another reader would find other extensions than this one: two lists of them, and Microsoft's own
attribute for them, which some libraries read and others do not.
"""

from __future__ import annotations

from protocol.csr import der
from protocol.csr.extensions import RequestedExtensions, parse_extensions
from protocol.csr.refusals import refusal
from protocol.errors import ProblemCode, RequestError

ATTRIBUTES_MAX = 16
"""Most attributes in one request; Windows writes four or five."""

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
MICROSOFT_EXTENSIONS = "1.3.6.1.4.1.311.2.1.14"

_FIELD = "CSR attributes"
_VALUES_MAX = 16
_LEFT_OUT = {
    "1.2.840.113549.1.9.2": "unstructured name",
    "1.2.840.113549.1.9.7": "challenge password (never send one: it is readable by everybody on the way)",
    "1.3.6.1.4.1.311.13.2.2": "Windows enrollment provider",
    "1.3.6.1.4.1.311.13.2.3": "Windows version",
    "1.3.6.1.4.1.311.21.20": "Windows client information",
}


def parse_attributes(attributes: der.Element) -> tuple[RequestedExtensions, tuple[str, ...]]:
    """What the extensions ask for, and in words the attributes that are left out. Raises `RequestError`."""
    pairs = [_type_and_values(item) for item in der.items(attributes, _FIELD, der.SEQUENCE, ATTRIBUTES_MAX, least=0)]
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _refused("the same attribute twice", "each attribute once")
    if MICROSOFT_EXTENSIONS in values:
        raise _refused(
            f"Microsoft's extension attribute ({MICROSOFT_EXTENSIONS})", f"extensionRequest ({EXTENSION_REQUEST})"
        )
    requested = values.pop(EXTENSION_REQUEST, None)
    left_out = tuple(f"attribute {oid}: {_LEFT_OUT.get(oid, 'of unknown type')}" for oid in values)
    return RequestedExtensions() if requested is None else _extensions(requested), left_out


def _type_and_values(item: der.Element) -> tuple[str, list[der.Element]]:
    identifier, values = der.members(item, _FIELD, der.OBJECT_IDENTIFIER, der.SET)
    return der.object_identifier(identifier.content, _FIELD), der.choices(values, _FIELD, _VALUES_MAX)


def _extensions(values: list[der.Element]) -> RequestedExtensions:
    """`extensionRequest` is SINGLE VALUE (RFC 2985 section 5.4.2)."""
    if len(values) != 1:
        raise _refused(f"extensionRequest with {len(values)} values", "extensionRequest with one value")
    return parse_extensions(values[0].encoded)


def _refused(got: str, allowed: str) -> RequestError:
    fix = "Ask for all extensions in one extensionRequest attribute, as `openssl req -addext` does."
    return refusal(ProblemCode.BAD_REQUEST, _FIELD, got, allowed, fix)
