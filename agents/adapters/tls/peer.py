"""What one end of a TLS connection sees of the other, checked again after the handshake and before a byte is read."""

from __future__ import annotations

import ssl
import sys

from cryptography import x509

from agents.adapters.tls.context import ALPN
from protocol.certificate import fingerprint, serial_number, subject_names
from protocol.errors import ProblemCode, ProtocolError, printable, problem
from protocol.messages import SHOWN_NAMES_MAX, SHOWN_TEXT_MAX, PeerView

Tls = ssl.SSLObject | ssl.SSLSocket


def presented_chain(tls: Tls) -> tuple[bytes, ...]:
    """The certificates that the other end sent: DER, leaf first, unverified.

    Makes sure of what the context demands: TLS 1.3, not resumed, the protocol agreed, a certificate shown. Raises
    `ProtocolError`.
    """
    _require("TLS version", tls.version(), "TLSv1.3")
    _require("TLS resumption", str(tls.session_reused), "False")
    _require("ALPN protocol", tls.selected_alpn_protocol(), ALPN)
    chain = _sent(tls)
    _require("certificate", "shown" if chain else None, "shown")
    return chain


def view(tls: Tls, leaf: x509.Certificate) -> PeerView:
    """What we saw: safe to show and to send, whatever the certificate says.

    Raises `NameSyntaxError` for a serial number that RFC 5280 does not allow.
    """
    cipher = tls.cipher()
    return PeerView(
        certificate=fingerprint(leaf),
        serial=serial_number(leaf),
        subject=printable(leaf.subject.rfc4514_string(), SHOWN_TEXT_MAX),
        names=tuple(printable(name, SHOWN_TEXT_MAX) for name in subject_names(leaf)[:SHOWN_NAMES_MAX]),
        tls_version=tls.version() or "none",
        cipher=cipher[0] if cipher else "none",
    )


def _require(field: str, got: str | None, wanted: str) -> None:
    if got != wanted:
        fix = "Open the channel with a client that does TLS 1.3, offers http/1.1 and shows its certificate."
        raise ProtocolError(problem(ProblemCode.BAD_REQUEST, field, got or "none", wanted, fix))


def _sent(tls: Tls) -> tuple[bytes, ...]:
    if sys.version_info >= (3, 13):
        return tuple(tls.get_unverified_chain())
    chain = tls._sslobj.get_unverified_chain()  # type: ignore[union-attr]  # noqa: SLF001  # public from 3.13
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain or ())
