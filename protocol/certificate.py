"""Facts of an X.509 certificate (RFC 5280) that both organisations compare. Verifies nothing: see `protocol.path`."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.csr import NameKind, SubjectName
from protocol.names import Fingerprint, SerialNumber
from protocol.path import extension

_KINDS: dict[type[x509.GeneralName], NameKind] = {
    x509.DNSName: NameKind.DNS,
    x509.UniformResourceIdentifier: NameKind.URI,
    x509.RFC822Name: NameKind.EMAIL,
    x509.IPAddress: NameKind.IP,
}


def subject_names(certificate: x509.Certificate) -> tuple[SubjectName, ...]:
    """The subject alternative names (RFC 5280 section 4.2.1.6) of the kinds that this protocol knows, in order."""
    known = (name for name in _alternative_names(certificate) if type(name) in _KINDS)
    return tuple(SubjectName(_KINDS[type(name)], str(name.value)) for name in known)


def unknown_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The kinds of the subject alternative names that `subject_names` leaves out: nobody can have asked for those."""
    return tuple(type(name).__name__ for name in _alternative_names(certificate) if type(name) not in _KINDS)


def _alternative_names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    return tuple(extension(certificate, x509.SubjectAlternativeName) or ())


def serial_number(certificate: x509.Certificate) -> SerialNumber:
    """The serial number. Raises `NameSyntaxError` unless it is positive and below 2^159."""
    return SerialNumber.from_int(certificate.serial_number)


def public_key_info(certificate: x509.Certificate) -> bytes:
    """The DER SubjectPublicKeyInfo."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(certificate: x509.Certificate) -> Fingerprint:
    """SHA-256 of the certificate's DER."""
    return Fingerprint.of(certificate.public_bytes(Encoding.DER))
