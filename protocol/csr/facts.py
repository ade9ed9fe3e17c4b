"""Facts of a certification request and of a public key, as values. How they are read is the business of `parse`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocol.names import Fingerprint


class NameKind(StrEnum):
    """Kinds of subject alternative name (RFC 5280 section 4.2.1.6) that can be asked for at all."""

    DNS = "dns"
    URI = "uri"
    EMAIL = "email"
    IP = "ip"


class KeyKind(StrEnum):
    """Kinds of public key that this protocol knows."""

    RSA = "RSA"
    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    ED25519 = "Ed25519"


@dataclass(frozen=True, slots=True)
class SubjectName:
    """One subject alternative name. `value` is printable ASCII, exactly as in the request (IP in canonical text)."""

    kind: NameKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class SubjectAttribute:
    """One attribute of a distinguished name: its OID in dotted form and its text (X.520 attribute types)."""

    oid: str
    value: str


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A public key: kind, size in bits, the DER SubjectPublicKeyInfo as received, and the SHA-256 of that."""

    kind: KeyKind
    bits: int
    spki: bytes
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """Facts of a well-formed request whose proof of possession holds. Says nothing about what may be granted."""

    der: bytes
    subject: tuple[SubjectAttribute, ...]
    names: tuple[SubjectName, ...]
    key: KeyFacts
    signature_hash: str
    """"SHA-256", "SHA-384", "SHA-512", or "Ed25519" where the scheme fixes the hash."""
    extended_key_usages: tuple[str, ...]
    """Dotted OIDs asked for; empty where the request does not say."""
    left_out: tuple[str, ...]
    """What the request holds that no certificate is built from, in words for its sender."""
