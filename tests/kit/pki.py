"""Quick certification authorities for tests: real keys and certificates, with every deviation that a test asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
DAY = timedelta(days=1)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def key_usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Holder:
    """A certificate with its key and the intermediates above it."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        chain = (self.certificate, *self.above)
        return b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain)

    @property
    def key_pem(self) -> bytes:
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        return self.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)

    def write(self, directory: Path, stem: str) -> tuple[str, str]:
        """Write `stem`-chain.pem and `stem`-key.pem (0600); return both paths."""
        chain, key = directory / f"{stem}-chain.pem", directory / f"{stem}-key.pem"
        chain.write_bytes(self.pem)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.key_pem)
        return str(chain), str(key)


@dataclass
class Authority:
    """A root and the intermediate that issues under it."""

    organisation: str
    root: Holder = field(init=False)
    issuing: Holder = field(init=False)

    def __post_init__(self) -> None:
        self.root = _authority(f"{self.organisation} root", None, 1)
        self.issuing = _authority(f"{self.organisation} issuing CA", self.root, 0)

    def issue(
        self,
        *dns_names: str,
        purposes: tuple[x509.ObjectIdentifier, ...],
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        common_name: str | None = None,
    ) -> Holder:
        """An end-entity certificate with a new P-256 key, valid from yesterday for a month unless told otherwise."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = not_before or now() - DAY
        builder = _builder(name(common_name or dns_names[0]), self.issuing.certificate.subject, key)
        builder = builder.not_valid_before(start).not_valid_after(not_after or start + 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(leaf=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = [x509.DNSName(dns_name) for dns_name in dns_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(_above(self.issuing), critical=False)
        return Holder(builder.sign(self.issuing.key, hashes.SHA256()), key, (self.issuing.certificate,))

    def server(self, *dns_names: str, **changes) -> Holder:
        return self.issue(*dns_names, purposes=(SERVER,), **changes)

    def client(self, *dns_names: str, **changes) -> Holder:
        return self.issue(*dns_names, purposes=(CLIENT,), **changes)


def _authority(common_name: str, parent: Holder | None, path_length: int) -> Holder:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = parent.certificate.subject if parent else name(common_name)
    builder = _builder(name(common_name), issuer, key)
    builder = builder.not_valid_before(now() - 400 * DAY).not_valid_after(now() + 3650 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(key_usage(leaf=False), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if parent:
        builder = builder.add_extension(_above(parent), critical=False)
    return Holder(builder.sign(parent.key if parent else key, hashes.SHA256()), key)


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    serial = x509.random_serial_number()
    return x509.CertificateBuilder(issuer, subject, key.public_key(), serial)


def _above(issuer: Holder) -> x509.AuthorityKeyIdentifier:
    identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
