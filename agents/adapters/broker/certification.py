"""Certificates for a broker and for those who log in to it, under a CA of the broker's own.

Made where they are missing, so that it can be done again at any time. The CA certifies nothing else: were it the CA
that an organisation issues from, every certificate issued there would log in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from agents.adapters.files import read_foreign, read_private, share_directory, share_file
from agents.core.pem import (
    belong_together,
    certificates_pem,
    parse_certificates,
    parse_private_key,
    private_key_pem,
    public_key_der,
    require_pair,
)
from agents.core.profile import CertificateSpec, Issuer, build, root, signature_hash
from agents.errors import StateError
from agents.ports import Entropy

CA_CERTIFICATE, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
"""Files of a holder: the broker's CA, the holder's certificate, and its key in PKCS#8, not encrypted."""

TITLE = "Message broker"

RENEWED_AT = 2 / 3
"""Which part of its lifetime a certificate has behind it when it is made anew."""

SpecOfKey = Callable[[bytes, datetime], CertificateSpec]
"""The certificate that a holder gets, made from its public key (DER) for a moment."""


@dataclass(frozen=True, slots=True)
class BrokerAuthority:
    """The broker's CA, opened."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def open_authority(directory: Path, now: datetime, entropy: Entropy) -> BrokerAuthority:
    """The CA in `directory`, which is ours alone; made if there is none.

    Raises `StateError` if it is damaged, or not valid at `now`: to replace it shuts out everybody who holds a login.
    """
    share_directory(directory, None)
    if not (directory / CERTIFICATE).exists():
        _make_authority(directory, now, entropy)
    (certificate,) = parse_certificates(read_private(directory / CERTIFICATE), str(directory / CERTIFICATE))[:1]
    key = parse_private_key(read_private(directory / KEY), None, str(directory / KEY))
    require_pair(certificate, key, str(directory))
    _require_valid(certificate, directory, now)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{directory / KEY} is not the key that was made here. Restore it from a backup.")
    return BrokerAuthority(certificate, key)


def _require_valid(certificate: x509.Certificate, directory: Path, now: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now <= end:
        raise StateError(
            f"the broker's CA in {directory} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}, and it is "
            f"{now:%Y-%m-%d}. Check this machine's clock; if it is right, remove {directory}, run "
            "`agent broker certify` again, and hand out the broker's folder and all logins anew."
        )


def certify(
    directory: Path, spec_of: SpecOfKey, authority: BrokerAuthority, now: datetime, entropy: Entropy, group: int | None
) -> bool:
    """See that `directory` holds a certificate as `spec_of` says with its key; `group` may read it (None: we alone).

    Whether one was made: one of this CA with these names that has a third of its life before it stays.
    """
    share_directory(directory, group)
    share_file(directory / CA_CERTIFICATE, certificates_pem([authority.certificate]), group)
    key = ec.generate_private_key(ec.SECP256R1())
    spec = spec_of(public_key_der(key.public_key()), now)
    builder = build(spec, Issuer.of_certificate(authority.certificate), entropy.serial_number())
    made = builder.sign(authority.key, signature_hash(authority.key.public_key()))
    if _serves_as_well(directory, made, authority, now):
        return False
    share_file(directory / KEY, private_key_pem(key), group)
    share_file(directory / CERTIFICATE, certificates_pem([made]), group)
    return True


def _make_authority(directory: Path, now: datetime, entropy: Entropy) -> None:
    """The certificate comes last: a key without one was never used."""
    key = ec.generate_private_key(ec.SECP256R1())
    spec = root(TITLE, public_key_der(key.public_key()), now, issues=True)
    builder = build(spec, Issuer.of_root(spec), entropy.serial_number())
    certificate = builder.sign(key, signature_hash(key.public_key()))
    share_file(directory / KEY, private_key_pem(key), None)
    share_file(directory / CERTIFICATE, certificates_pem([certificate]), None)


def _serves_as_well(directory: Path, made: x509.Certificate, authority: BrokerAuthority, now: datetime) -> bool:
    """Whether what lies in `directory` does what the certificate just made would do."""
    try:
        (found,) = parse_certificates(read_foreign(directory / CERTIFICATE), CERTIFICATE)
        key = parse_private_key(read_foreign(directory / KEY), None, KEY)
        found.verify_directly_issued_by(authority.certificate)
    except (StateError, InvalidSignature, ValueError, TypeError):
        return False
    lifetime = found.not_valid_after_utc - found.not_valid_before_utc
    fresh = now < found.not_valid_before_utc + RENEWED_AT * lifetime
    return fresh and belong_together(found, key) and _extensions(found) == _extensions(made)


def _extensions(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, x509.ExtensionType]:
    """What the certificate says but for its own key."""
    mine = x509.SubjectKeyIdentifier.oid
    return {one.oid: one.value for one in certificate.extensions if one.oid != mine}
