"""Certificates with any fault that a test asks for: everything is right unless an argument says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.path import KP_JWT

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
AGENT_URI = x509.UniformResourceIdentifier("apostille:client-b/agent")


@dataclass(frozen=True)
class Forged:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: object

    @property
    def subject(self) -> x509.Name:
        return self.certificate.subject


def new_key(curve=None):
    return ec.generate_private_key(curve or ec.SECP256R1())


def distinguished_name(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def usage(*wanted: str) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in wanted for name in names.split()})


def forge(
    common_name: str | None,
    issuer: Forged | None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    key=None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + 30 * DAY,
    algorithm: hashes.HashAlgorithm | None = None,
    identifiers: bool = True,
    serial: int | None = None,
) -> Forged:
    key = key or new_key()
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(distinguished_name(common_name))
        .issuer_name(issuer.subject if issuer else distinguished_name(common_name))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(above, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    fixed_hash = isinstance(signer, ed25519.Ed25519PrivateKey)
    return Forged(builder.sign(signer, None if fixed_hash else algorithm or hashes.SHA256()), key)


def forge_ca(
    common_name: str,
    issuer: Forged | None = None,
    *,
    path_length: int | None = None,
    usages: x509.KeyUsage | None = None,
    say_usage: bool = True,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **changes,
) -> Forged:
    extensions = [(x509.BasicConstraints(ca=True, path_length=path_length), True), *extra]
    if say_usage:
        extensions.append((usages or usage("key_cert_sign", "crl_sign"), True))
    return forge(common_name, issuer, extensions, **changes)


def forge_leaf(
    issuer: Forged,
    purposes: Sequence[x509.ObjectIdentifier] | None,
    names: Sequence[x509.GeneralName],
    *,
    usages: x509.KeyUsage | None = None,
    say_usage: bool = True,
    common_name: str | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **changes,
) -> Forged:
    extensions = list(extra)
    if names:
        extensions.append((x509.SubjectAlternativeName(names), common_name is None))
    if purposes is not None:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    if say_usage:
        extensions.append((usages or usage("digital_signature"), True))
    return forge(common_name, issuer, extensions, **changes)


def forge_identity(issuer: Forged, **changes) -> Forged:
    return forge_leaf(issuer, [KP_JWT], [AGENT_URI], **changes)


def forge_server(issuer: Forged, host: str = "c.example", **changes) -> Forged:
    return forge_leaf(issuer, [SERVER], [x509.DNSName(host)], **changes)


def forge_client(issuer: Forged, host: str = "api.b.example", **changes) -> Forged:
    return forge_leaf(issuer, [CLIENT], [x509.DNSName(host)], **changes)
