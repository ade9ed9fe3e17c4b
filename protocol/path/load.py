"""One DER certificate to a value that can be read without surprises. Says nothing about who signed it."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from protocol.errors import PathError, ProblemCode, problem
from protocol.messages import CERTIFICATE_MAX


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
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise _malformed(str(error), "one X.509 version 3 certificate in DER") from error
    except x509.UnsupportedGeneralNameType as error:
        raise _malformed(str(error), "names of the kinds in RFC 5280 section 4.2.1.6") from error
    return certificate


def _read_everything(certificate: x509.Certificate) -> None:
    """Touch what the library parses only when it is first read."""
    _ = certificate.version, certificate.subject, certificate.issuer, certificate.extensions
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.public_key()
    _ = certificate.signature_algorithm_parameters


def _malformed(got: str, allowed: str) -> PathError:
    fix = "Send the certificate as the CA issued it, in DER, alone."
    return PathError(problem(ProblemCode.BAD_DATA_FORMAT, "certificate", got, allowed, fix))
