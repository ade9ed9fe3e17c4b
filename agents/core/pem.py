"""Keys and certificates in PEM (RFC 7468): text to values and back, for files of our own. Reads and writes no file.

Whatever cannot be used becomes a `StateError` that names where it came from; a partner's certificates are the business
of `protocol.path`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from agents.errors import ConfigurationError, StateError
from protocol.path import load_certificate

_BLOCK = re.compile(rb"-----BEGIN (?P<label>[A-Z0-9 ]{1,40})-----\r?\n.*?-----END (?P=label)-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its label and its text, from the BEGIN line to the END line."""

    label: str
    text: bytes


def blocks(text: bytes) -> tuple[Block, ...]:
    """All PEM blocks in `text`, whatever stands between them."""
    return tuple(Block(found["label"].decode("ascii"), found[0] + b"\n") for found in _BLOCK.finditer(text))


def parse_certificates(text: bytes, where: str) -> tuple[x509.Certificate, ...]:
    """The certificates in `text`, one or more, in order. Raises `StateError`."""
    try:
        found = tuple(_certificate(one.text) for one in blocks(text) if one.label == "CERTIFICATE")
    except ValueError as error:
        raise StateError(f"{where} holds a damaged certificate ({error}). Restore the file from a backup.") from error
    if not found:
        raise StateError(f"{where} holds no certificate in PEM. Restore the file from a backup.")
    return found


def parse_private_key(text: bytes, passphrase: bytes | None, where: str) -> PrivateKeyTypes:
    """The one private key in `text`: PKCS#8 (RFC 5958) or a traditional form, encrypted or not.

    Raises `ConfigurationError` if the passphrase is missing or wrong, `StateError` if it is no usable key.
    """
    try:
        return load_pem_private_key(text, passphrase)
    except TypeError as error:
        if passphrase is None:
            raise ConfigurationError(f"{where} is encrypted, and no passphrase was given for it.") from error
        return parse_private_key(text, None, where)
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            raise ConfigurationError(
                f"the passphrase does not open {where} ({error}). Give the right one; mind a newline at its end."
            ) from error
        raise StateError(f"{where} holds no usable private key ({error}). Restore it from a backup.") from error


def certificates_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates, one after another."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def private_key_pem(key: PrivateKeyTypes, passphrase: bytes | None = None) -> bytes:
    """The key in PKCS#8 (RFC 5958); encrypted (PBES2, AES-256) if there is a passphrase."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_key_der(key: PublicKeyTypes) -> bytes:
    """The DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether `certificate` is for this key."""
    return public_key_der(certificate.public_key()) == public_key_der(key.public_key())


def require_pair(certificate: x509.Certificate, key: PrivateKeyTypes, where: str) -> None:
    """Raise `StateError` unless certificate and key, found at `where`, belong together."""
    if not belong_together(certificate, key):
        raise StateError(
            f"the certificate and the private key in {where} do not belong together. "
            "Restore both from the same backup; neither can be used with the other."
        )


def _certificate(pem: bytes) -> x509.Certificate:
    return load_certificate(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
