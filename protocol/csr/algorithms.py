"""Algorithm identifiers (RFC 5280 section 4.1.1.2) in words, for those that are not accepted."""

from __future__ import annotations

from protocol.csr import der
from protocol.errors import RequestError

_FIELD = "algorithm identifier"
_NULL = b"\x05\x00"

_NAMES = {
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.10045.2.1": "elliptic curve",
    "1.2.840.10045.3.1.1": "P-192",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.4": "RSA with MD5",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.101.110": "X25519",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "1.3.132.0.10": "secp256k1",
    "1.3.132.0.33": "P-224",
}


def describe(algorithm: der.Element) -> str:
    """The identifier, named where it has a well-known name, and its parameters."""
    try:
        identifier, *parameters = der.choices(algorithm, _FIELD, most=2)
        told = [_named(one) for one in parameters]
        return f"{_named(identifier)} {' '.join(['with parameters', *told]) if told else 'without parameters'}"
    except RequestError:
        return f"octets {algorithm.encoded.hex()}"


def _named(element: der.Element) -> str:
    if element.encoded == _NULL:
        return "NULL"
    if element.tag != der.OBJECT_IDENTIFIER:
        return element.encoded.hex()
    oid = der.object_identifier(element.content, _FIELD)
    return f"{oid} ({_NAMES[oid]})" if oid in _NAMES else oid
