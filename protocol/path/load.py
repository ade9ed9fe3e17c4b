"""One DER certificate to a value that can be read without surprises, and one extension of it. Not: who signed it."""

from __future__ import annotations

from typing import TypeVar

from cryptography import x509

from protocol.errors import PathError, ProblemCode, problem
from protocol.messages import CERTIFICATE_MAX

E = TypeVar("E", bound=x509.ExtensionType)


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse exactly one DER certificate whose every part can be read afterwards without an error.

    Raises `PathError` (and nothing else) if it is larger than `CERTIFICATE_MAX`, not one X.509 certificate, has
    something after it, repeats an extension, or holds a name or key that the library does not know.
    """
    if len(der) > CERTIFICATE_MAX:
        raise _malformed(f"{len(der)} bytes", f"at most {CERTIFICATE_MAX} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        _read_everything(certificate)
    except Exception as error:  # whatever the library raises, the bytes are at fault
        raise _malformed(str(error), "one X.509 version 3 certificate in DER (RFC 5280)") from error
    return certificate


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The extension of this kind in `certificate`, None if there is none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _read_everything(certificate: x509.Certificate) -> None:
    """Touch what the library parses only when it is first read.

    Of what it merely warns of, a serial number is refused. A common name is not: the warning counts octets, and the
    bound counts characters (RFC 5280 appendix A.1).
    """
    if certificate.serial_number <= 0:  # RFC 5280 section 4.1.2.2
        raise ValueError("the serial number is not positive")
    _ = certificate.subject, certificate.issuer, certificate.extensions
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.public_key()
    _ = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm


def _malformed(got: str, allowed: str) -> PathError:
    fix = "Send the certificate as the CA issued it, in DER, alone."
    return PathError(problem(ProblemCode.BAD_DATA_FORMAT, "certificate", got, allowed, fix))
