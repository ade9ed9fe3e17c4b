"""Proof, before a listener opens, that its TLS context refuses what it must: no certificate, and a stranger's.

A library or a build in which "required" means "optional" has happened (wolfssl-py CVE-2025-15346). Both handshakes are
done in memory, and must fail for the reason expected: a test that fails for another reason proves nothing.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agents.adapters.tls.context import looking_context
from agents.errors import StateError

ROUNDS_MAX = 10
"""Most exchanges of flights; a TLS 1.3 handshake takes two (RFC 8446 section 2)."""


def prove_refusal(context: ssl.SSLContext, server_name: str, now: datetime) -> None:
    """Raises `StateError` unless `context` refuses a client without a certificate, and one of an unknown issuer."""
    bare = looking_context()
    _must_fail(context, bare, server_name, "PEER_DID_NOT_RETURN_A_CERTIFICATE", "without a certificate")
    stranger = looking_context()
    _show_strangers_certificate(stranger, now)
    _must_fail(context, stranger, server_name, "CERTIFICATE_VERIFY_FAILED", "with a certificate of an unknown issuer")


def _must_fail(context: ssl.SSLContext, client: ssl.SSLContext, server_name: str, reason: str, who: str) -> None:
    got = _handshake(context, client, server_name)
    if got != reason:
        message = f"self-test of the channel: a client {who} must fail with {reason}, but got: {got}."
        raise StateError(f"{message} The channel stays closed; check the installed OpenSSL and Python.")


def _handshake(server_side: ssl.SSLContext, client_side: ssl.SSLContext, server_name: str) -> str:
    """The reason for which the server's end fails, in OpenSSL's words."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server, server_hostname=server_name)
    try:
        for _ in range(ROUNDS_MAX):
            client_done, server_done = _step(client), _step(server)
            if client_done and server_done:
                return "no failure"
    except ssl.SSLError as error:
        return error.reason or str(error)
    return "no end of the handshake"


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _show_strangers_certificate(context: ssl.SSLContext, now: datetime) -> None:
    """A flawless client certificate but for its issuer, which is nobody. The ssl module takes keys from files only."""
    key = ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "stranger.pem")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private + _strangers_certificate(key, now).public_bytes(encoding))
        context.load_cert_chain(path)


def _strangers_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(hours=1))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=False).sign(key, hashes.SHA256())
