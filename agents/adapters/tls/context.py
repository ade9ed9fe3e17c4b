"""TLS as this program speaks it, at both ends: version 1.3 only, both certificates required, nothing resumed.

Left out: path, purpose and record of the other end's certificate, which are checked again after the handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cryptography import x509

from agents.errors import StateError
from agents.ports import ChannelCredential
from protocol.certificate import subject_names
from protocol.csr import NameKind

ALPN = "http/1.1"
"""The protocol inside (RFC 7301, RFC 9112); both ends insist on having agreed on it."""

CREDENTIAL_MAX = 131_072
"""Largest credential file, in bytes: a chain of four certificates at their largest, in PEM."""

MISSING_EXTENSION = 109
"""The alert missing_extension (RFC 8446 section 6), which the ssl module has no name for."""

Context = ssl.SSLContext


def server_context(credential: ChannelCredential, trusted: Iterable[bytes]) -> tuple[Context, x509.Certificate]:
    """The listening end, and the certificate that it shows.

    `trusted` (DER) are our anchors and issuing intermediates; a path must still end in a root. Raises `StateError` if
    the credential cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, trusted)
    context.num_tickets = 0  # no resumption (RFC 8446 section 4.6.1): every session is checked in full
    leaf = _load_credential(context, credential)
    context.sni_callback = _server_name_check(dns_names(leaf))
    return context, leaf


def client_context(credential: ChannelCredential, anchors: Sequence[bytes]) -> tuple[Context, x509.Certificate]:
    """The dialling end, which checks the name of the host too, and the certificate that it shows.

    Raises `StateError` if the credential cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, anchors)
    context.hostname_checks_common_name = False  # RFC 9525 section 2: names live in the subjectAltName
    return context, _load_credential(context, credential)


def looking_context() -> Context:
    """For looking at a server's certificate without trusting it: no credential, no verification."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    harden(context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of a certificate, in lower case."""
    return tuple(name.value.lower() for name in subject_names(certificate) if name.kind is NameKind.DNS)


def harden(context: Context) -> None:
    """Version 1.3 only (so neither renegotiation nor compression exist), one protocol inside, no tickets."""
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols([ALPN])


def _context(protocol: int, trusted: Iterable[bytes]) -> Context:
    context = ssl.SSLContext(protocol)
    harden(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN  # a trusted intermediate is no anchor
    try:
        context.load_verify_locations(cadata=b"".join(trusted))
    except (ssl.SSLError, ValueError) as error:
        raise StateError("no usable trust anchors for the channel; exchange an invitation, or restore them.") from error
    return context


def _load_credential(context: Context, credential: ChannelCredential) -> x509.Certificate:
    """Have `context` show `credential`; returns its leaf.

    Raises `StateError`: missing, unreadable, or key and certificate do not belong together.
    """
    chain = _certificate_chain(credential)
    try:
        context.load_cert_chain(credential.chain_path, credential.key_path, password=lambda: b"")
    except ssl.SSLError as error:
        raise StateError(_unusable(credential, error)) from error
    except OSError as error:
        raise StateError(_unreadable(credential.key_path, error)) from error
    return chain[0]


def _certificate_chain(credential: ChannelCredential) -> list[x509.Certificate]:
    """The certificates of a credential, leaf first. Raises `StateError` if the file holds none."""
    try:
        with Path(credential.chain_path).open("rb") as file:
            return x509.load_pem_x509_certificates(file.read(CREDENTIAL_MAX))
    except OSError as error:
        raise StateError(_unreadable(credential.chain_path, error)) from error
    except ValueError as error:
        message = f"{credential.chain_path} is no certificate chain in PEM ({error}). Restore the file or enroll again."
        raise StateError(message) from error


def _server_name_check(names: Iterable[str]) -> Callable[[ssl.SSLObject, str | None, Context], int | None]:
    """RFC 6066 section 3: a client must ask for one of our names, or the handshake ends with an alert."""
    known = frozenset(names)

    def check(_tls: ssl.SSLObject, asked: str | None, _context: Context) -> int | None:
        if asked is None:
            return MISSING_EXTENSION
        return None if asked.lower() in known else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    return check


def _unreadable(path: str, error: OSError) -> str:
    return f"cannot read {path}: {error.strerror or error}. The file must exist and belong to the agent's user."


def _unusable(credential: ChannelCredential, error: ssl.SSLError) -> str:
    pair = f"{credential.key_path} and {credential.chain_path}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{pair} do not belong together: the certificate is for another key. Restore both from one place."
    return f"{pair} cannot be used for TLS ({error.reason or error}); an unencrypted PKCS#8 key and PEM are wanted."
