"""Certificate profiles (RFC 5280 section 4): the complete shape of every certificate that this agent makes.

Specs for all profiles but one are made here; that of the channel client by the policy alone. `build` turns a spec
into a certificate that waits for its signature. Left out: keys that sign, and whether a certificate may be issued.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agents.errors import StateError
from protocol.csr import NameKind, SubjectAttribute, SubjectName, load_public_key
from protocol.names import DnsName, OrganisationName, SerialNumber, agent_uri
from protocol.path import KP_JWT

BACKDATE = timedelta(minutes=5)
"""How far notBefore lies before the moment of issue, so that a partner whose clock is slow accepts the certificate."""

ROOT_LIFETIME = timedelta(days=3650)
"""Ten years: a partner pins the root, so replacing it needs an agreement."""

INTERMEDIATE_LIFETIME = timedelta(days=1825)
"""Five years."""

END_ENTITY_LIFETIME = timedelta(days=365)
"""One year, for the agent identity, the channel server, the broker and those who log in to it."""


class Profile(StrEnum):
    """The kinds of certificate."""

    ROOT = "root"
    ISSUING_ROOT = "issuing-root"
    INTERMEDIATE = "intermediate"
    AGENT_IDENTITY = "agent-identity"
    CHANNEL_SERVER = "channel-server"
    CHANNEL_CLIENT = "channel-client"
    BROKER_LOGIN = "broker-login"


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """Everything a certificate says except serial number, issuer and key identifiers.

    `public_key` is a DER SubjectPublicKeyInfo; `extended_key_usages` are dotted OIDs; times are aware, UTC, whole
    seconds.
    """

    profile: Profile
    subject: tuple[SubjectAttribute, ...]
    names: tuple[SubjectName, ...]
    public_key: bytes
    extended_key_usages: tuple[str, ...]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Issuer:
    """What a certificate says about the CA that signs it, prepared once per CA; and how long the CA's path is valid."""

    name: x509.Name
    key_identifier: x509.AuthorityKeyIdentifier
    not_before: datetime
    not_after: datetime

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate, *above: x509.Certificate) -> Self:
        """The CA that holds `certificate`, with the CAs `above` it: an imported one may outlive its root. Its own
        subject key identifier is repeated, however it was made."""
        path = (certificate, *above)
        return cls(
            certificate.subject,
            _authority_key_identifier(certificate),
            max(one.not_valid_before_utc for one in path),
            min(one.not_valid_after_utc for one in path),
        )

    @classmethod
    def of_root(cls, spec: CertificateSpec) -> Self:
        """The root that signs itself."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_identifier(spec.public_key))
        return cls(_name(spec.subject), identifier, spec.not_before, spec.not_after)


def validity(now: datetime, lifetime: timedelta) -> tuple[datetime, datetime]:
    """Return notBefore and notAfter, whole seconds, for a certificate issued at `now` to last `lifetime` from then."""
    moment = now.replace(microsecond=0)
    return moment - BACKDATE, moment + lifetime


def root(organisation: str, public_key: bytes, now: datetime, *, issues: bool) -> CertificateSpec:
    """The spec of an organisation's self-signed root. `organisation` is the name that people read.

    With `issues` it signs end entities itself, and no CA is below it (path length 0, RFC 5280 section 4.2.1.9).
    """
    profile = Profile.ISSUING_ROOT if issues else Profile.ROOT
    subject = _authority(organisation, "Root CA")
    return CertificateSpec(profile, subject, (), public_key, (), *validity(now, ROOT_LIFETIME))


def intermediate(organisation: str, public_key: bytes, now: datetime) -> CertificateSpec:
    """The spec of the issuing CA below the root; no CA below it (path length 0)."""
    subject = _authority(organisation, "Issuing CA")
    return CertificateSpec(Profile.INTERMEDIATE, subject, (), public_key, (), *validity(now, INTERMEDIATE_LIFETIME))


def agent_identity(organisation: OrganisationName, public_key: bytes, now: datetime) -> CertificateSpec:
    """The spec of the certificate that signs envelopes: one URI name, id-kp-jwt (RFC 9509), no TLS purpose."""
    names = (SubjectName(NameKind.URI, agent_uri(organisation)),)
    usages = (KP_JWT.dotted_string,)
    return CertificateSpec(Profile.AGENT_IDENTITY, (), names, public_key, usages, *validity(now, END_ENTITY_LIFETIME))


def channel_server(host: DnsName, public_key: bytes, now: datetime) -> CertificateSpec:
    """The spec of the certificate that serves the channel at `host`."""
    names = (SubjectName(NameKind.DNS, host),)
    usages = (ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,)
    return CertificateSpec(Profile.CHANNEL_SERVER, (), names, public_key, usages, *validity(now, END_ENTITY_LIFETIME))


def broker_login(user: OrganisationName, public_key: bytes, now: datetime) -> CertificateSpec:
    """The spec of the certificate with which `user` logs in to the broker, under the broker's own CA: one DNS name."""
    names = (SubjectName(NameKind.DNS, user),)
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,)
    return CertificateSpec(Profile.BROKER_LOGIN, (), names, public_key, usages, *validity(now, END_ENTITY_LIFETIME))


def build(spec: CertificateSpec, issuer: Issuer, serial: SerialNumber) -> x509.CertificateBuilder:
    """The certificate of `spec`, ready to be signed.

    Its validity is cut to that of the issuer's path, so that a path is valid whenever its leaf is. Raises `StateError`
    if nothing is left of it, because the issuer has expired.
    """
    not_before = max(spec.not_before, issuer.not_before)
    not_after = min(spec.not_after, issuer.not_after)
    if not_before >= not_after:
        raise StateError(
            f"nothing can be issued: the CA {issuer.name.rfc4514_string()} is valid until {issuer.not_after:%Y-%m-%d}, "
            f"the certificate would begin on {spec.not_before:%Y-%m-%d}. Replace the CA (agent init in a new home)."
        )
    return x509.CertificateBuilder(
        issuer_name=issuer.name,
        subject_name=_name(spec.subject),
        public_key=load_public_key(spec.public_key),
        serial_number=serial.to_int(),
        not_valid_before=_naive(not_before),
        not_valid_after=_naive(not_after),
        extensions=list(_extensions(spec, issuer)),
    )


def signature_hash(key: CertificateIssuerPublicKeyTypes) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """The hash that a CA with this public key signs with: as strong as its curve (RFC 5480 section 4), SHA-256 for RSA.

    Raises `StateError` for a kind of key that no CA here has.
    """
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | rsa.RSAPublicKey():
            return hashes.SHA256()
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return hashes.SHA384()
        case ec.EllipticCurvePublicKey(curve=ec.SECP521R1()):
            return hashes.SHA512()
        case _:
            kind = type(key).__name__
            raise StateError(f"a CA key is {kind}; only RSA, P-256, P-384 and P-521 are supported. Use such a CA.")


def key_identifier(public_key: bytes) -> x509.SubjectKeyIdentifier:
    """SHA-256 of the DER SubjectPublicKeyInfo (RFC 7093 section 2, method 4).

    It is also the fingerprint under which ledgers know the key, so that the two can be compared by eye.
    """
    return x509.SubjectKeyIdentifier(hashlib.sha256(public_key).digest())


def _extensions(spec: CertificateSpec, issuer: Issuer) -> Iterable[x509.Extension[x509.ExtensionType]]:
    yield _extension(key_identifier(spec.public_key))
    yield _extension(issuer.key_identifier)
    yield from _CONSTANT[spec.profile]
    if spec.names:
        # RFC 5280 section 4.2.1.6: critical if the names are all that the certificate says of its subject.
        names = x509.SubjectAlternativeName(_GENERAL_NAMES[name.kind](name.value) for name in spec.names)
        yield _extension(names, critical=not spec.subject)
    if spec.extended_key_usages:
        yield _extension(x509.ExtendedKeyUsage(x509.ObjectIdentifier(oid) for oid in spec.extended_key_usages))


_GENERAL_NAMES: Mapping[NameKind, Callable[[str], x509.GeneralName]] = {
    NameKind.DNS: x509.DNSName,
    NameKind.URI: x509.UniformResourceIdentifier,
    NameKind.EMAIL: x509.RFC822Name,
    NameKind.IP: lambda text: x509.IPAddress(ipaddress.ip_address(text)),
}


def _name(subject: tuple[SubjectAttribute, ...]) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.ObjectIdentifier(one.oid), one.value) for one in subject])


def _authority(organisation: str, role: str) -> tuple[SubjectAttribute, ...]:
    """A CA's subject must not be empty (RFC 5280 section 4.1.2.6), and root and intermediate must differ in it."""
    return (
        SubjectAttribute(NameOID.ORGANIZATION_NAME.dotted_string, organisation),
        SubjectAttribute(NameOID.COMMON_NAME.dotted_string, role),
    )


def _authority_key_identifier(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        own = key_identifier(spki)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _naive(moment: datetime) -> datetime:
    """The builder's constructor takes UTC without saying so."""
    return moment.replace(tzinfo=None)


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _constant(
    usage: x509.KeyUsage, constraints: x509.BasicConstraints
) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    return _extension(constraints, critical=True), _extension(usage, critical=True)


def _usage(*, signs_messages: bool) -> x509.KeyUsage:
    """RFC 5280 section 4.2.1.3. TLS 1.3 and JWS need `digitalSignature` alone; a CA signs certificates and CRLs."""
    return x509.KeyUsage(
        digital_signature=signs_messages,
        key_cert_sign=not signs_messages,
        crl_sign=not signs_messages,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


_END_ENTITY = _constant(_usage(signs_messages=True), x509.BasicConstraints(ca=False, path_length=None))

_ISSUING = _constant(_usage(signs_messages=False), x509.BasicConstraints(ca=True, path_length=0))

_CONSTANT = {
    Profile.ROOT: _constant(_usage(signs_messages=False), x509.BasicConstraints(ca=True, path_length=None)),
    Profile.ISSUING_ROOT: _ISSUING,
    Profile.INTERMEDIATE: _ISSUING,
    Profile.AGENT_IDENTITY: _END_ENTITY,
    Profile.CHANNEL_SERVER: _END_ENTITY,
    Profile.CHANNEL_CLIENT: _END_ENTITY,
    Profile.BROKER_LOGIN: _END_ENTITY,
}
"""What all certificates of a profile have in common, made once: signing is on the issuing path."""
