"""Certification requests built octet by octet: a test breaks any rule of any layer and can still sign the result."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.csr import parse_csr
from protocol.errors import Problem, RequestError

KEY = ec.derive_private_key(0xA9057111E, ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")

COMMON_NAME, COUNTRY, ORGANISATIONAL_UNIT, EMAIL = "2.5.4.3", "2.5.4.6", "2.5.4.11", "1.2.840.113549.1.9.1"
SAN, EKU, BASIC_CONSTRAINTS, KEY_USAGE, KEY_IDENTIFIER = "2.5.29.17", "2.5.29.37", "2.5.29.19", "2.5.29.15", "2.5.29.14"
EXTENSION_REQUEST, CHALLENGE_PASSWORD = "1.2.840.113549.1.9.14", "1.2.840.113549.1.9.7"
MICROSOFT_EXTENSIONS, WINDOWS_VERSION = "1.3.6.1.4.1.311.2.1.14", "1.3.6.1.4.1.311.13.2.3"


def tlv(tag: int, content: bytes = b"") -> bytes:
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    return tlv(0x31, b"".join(parts))


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def bits(octets: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes([unused]) + octets)


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode("utf-8"))


def printable(text: str) -> bytes:
    return tlv(0x13, text.encode("ascii"))


def ia5(text: str) -> bytes:
    return tlv(0x16, text.encode("ascii"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, b"".join(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.insert(0, 0x80 | arc & 0x7F)
    return bytes(octets)


def rdn(type_: str, value: bytes) -> bytes:
    return set_of(sequence(oid(type_), value))


def dns(name: str) -> bytes:
    return tlv(0x82, name.encode("latin-1"))


def extension(type_: str, value: bytes, critical: bytes = b"") -> bytes:
    return sequence(oid(type_), critical, tlv(0x04, value))


def attribute(type_: str, *values: bytes) -> bytes:
    return sequence(oid(type_), set_of(*values))


def asking_for(*extensions: bytes) -> bytes:
    """The attribute that asks for extensions."""
    return attribute(EXTENSION_REQUEST, sequence(*extensions))


def named(*names: bytes) -> bytes:
    """The attribute that asks for subject alternative names."""
    return asking_for(extension(SAN, sequence(*names)))


PLAIN = named(dns("api.client-b.example"))


def info(
    *attributes: bytes, version: bytes = integer(0), name: bytes = sequence(), spki: bytes = SPKI, end: bytes = b""
) -> bytes:
    return sequence(version, name, spki, tlv(0xA0, b"".join(attributes)), end)


def sign(signed: bytes, algorithm: bytes = ECDSA_SHA256) -> bytes:
    """A request around `signed`, whatever that is, with a signature by KEY that does not change from run to run."""
    signature = KEY.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True))
    return sequence(signed, algorithm, bits(signature))


def problem_of(request: bytes) -> Problem:
    """The one problem for which a request is refused."""
    with pytest.raises(RequestError) as caught:
        parse_csr(request)
    (problem,) = caught.value.problems
    return problem
