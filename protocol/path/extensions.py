"""One extension of a certificate, or none."""

from __future__ import annotations

from typing import TypeVar

from cryptography import x509

E = TypeVar("E", bound=x509.ExtensionType)


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The extension of this kind in `certificate`, None if there is none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
