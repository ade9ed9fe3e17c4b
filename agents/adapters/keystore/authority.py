"""A certification authority with its keys in memory, while the ceremony lasts: a root, and maybe an intermediate."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from agents.core.organisation import KeyType
from agents.core.profile import CertificateSpec, Issuer, build, signature_hash
from agents.errors import StateError
from protocol.names import SerialNumber

_CURVES = {KeyType.P256: ec.SECP256R1(), KeyType.P384: ec.SECP384R1(), KeyType.P521: ec.SECP521R1()}
_MODULI = {KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}

CaKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Keyed:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: CaKey = field(repr=False)
    root: x509.Certificate | None = None
    """The root above it; None for a root."""

    def sign(self, spec: CertificateSpec, serial: SerialNumber) -> x509.Certificate:
        """The certificate of `spec` under this CA."""
        above = (self.root,) if self.root else ()
        return sign(build(spec, Issuer.of_certificate(self.certificate, *above), serial), self.key)


@dataclass(frozen=True, slots=True)
class Authority:
    """The root's certificate, its key unless that is kept elsewhere, and the intermediate unless the root issues."""

    root: x509.Certificate
    root_key: CaKey | None = field(repr=False)
    intermediate: Keyed | None

    def issuing(self) -> Keyed:
        """The CA that signs end entities."""
        return self.intermediate or self.keyed_root()

    def keyed_root(self) -> Keyed:
        """The root with its key. Raises `StateError` if that is not here."""
        if self.root_key is None:
            raise StateError(
                "the root's private key is not here. Put it beside the certificate, or its intermediate's key."
            )
        return Keyed(self.root, self.root_key)


def generate(key_type: KeyType) -> CaKey:
    """A new CA key."""
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    return rsa.generate_private_key(public_exponent=65537, key_size=_MODULI[key_type])


def sign(builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes) -> x509.Certificate:
    """Sign with the hash that goes with the key."""
    return builder.sign(key, signature_hash(key.public_key()))
