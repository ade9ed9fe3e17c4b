"""The organisation's keys, opened for use: the door to the CA key, the agent identity, the channel credential.

Every key is checked to be private and to belong to its certificate before it is handed out. Left out: expiry of the
identity, which the status of the agent reports, and of the channel certificate, made with it; partners judge both.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from agents.adapters import files
from agents.adapters.keystore import layout
from agents.adapters.keystore.authority import CaKey
from agents.adapters.keystore.constrained import has_name_constraints, require_permitted
from agents.core.pem import parse_certificates, parse_private_key, require_pair
from agents.core.policy import Approved
from agents.core.profile import BACKDATE, Issuer, build, signature_hash
from agents.errors import StateError
from agents.ports import ChannelCredential
from protocol.envelope import Identity
from protocol.names import SerialNumber
from protocol.path import extension


class CaSigner:
    """The `CertificateSigner` port: holds the issuing CA's key and signs what the policy approved, nothing else."""

    def __init__(self, key: CaKey, certificate: x509.Certificate, root: x509.Certificate) -> None:
        self._key = key
        self._hash = signature_hash(key.public_key())
        self._issuer = Issuer.of_certificate(certificate, root)
        self._certificate = _der(certificate)
        self._root = _der(root)
        self._path = (certificate, root)
        self._constrained = has_name_constraints(certificate, root)

    def issue(self, approved: Approved, serial: SerialNumber) -> bytes:
        """The signed certificate, DER, as approved; it ends no later than the CA. Raises `StateError` once that has,
        `PathError` for names that the constraints of the CA forbid: every requester would have to refuse them."""
        if not isinstance(approved, Approved):
            raise TypeError(f"the CA key signs Approved only, got {type(approved).__name__}")
        certificate = build(approved.spec, self._issuer, serial).sign(self._key, self._hash)
        if self._constrained:  # only then: to verify takes longer than to sign
            require_permitted(certificate, *self._path, approved.spec.not_before + BACKDATE)
        return _der(certificate)

    def certificate(self) -> bytes:
        """The issuing CA's certificate, DER."""
        return self._certificate

    def chain(self) -> tuple[bytes, ...]:
        """The issuing CA's certificate; empty if the root issues."""
        return () if self._certificate == self._root else (self._certificate,)

    def trust_bundle(self) -> tuple[bytes, ...]:
        """Our root, DER."""
        return (self._root,)


def open_signer(home: Path, passphrase: bytes, now: datetime) -> CaSigner:
    """Open the issuing CA's key.

    Raises `ConfigurationError` if the passphrase is wrong, `StateError` if files are missing, damaged or open to
    others, if key and certificate do not belong together, or if the CA is not valid at `now`.
    """
    key_path = home / (layout.ISSUING_KEY if _has_intermediate(home) else layout.ROOT_KEY)
    root = _certificates(home / layout.ROOT_CERTIFICATE)[0]
    certificate = _intermediate(home) or root
    key = parse_private_key(files.read_private(key_path), passphrase, str(key_path))
    require_pair(certificate, key, str(key_path.parent))
    for one in (certificate, root):
        _require_valid(one, now)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise StateError(f"{key_path} holds a {type(key).__name__}; a CA key is RSA, P-256, P-384 or P-521.")
    return CaSigner(key, certificate, root)


def load_identity(home: Path) -> Identity:
    """The identity that seals envelopes, its chain up to the root. Raises `StateError`."""
    path = home / layout.IDENTITY_KEY
    key = parse_private_key(files.read_private(path), None, str(path))
    chain = _certificates(home / layout.IDENTITY_CHAIN)
    require_pair(chain[0], key, str(path.parent))
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise StateError(f"{path} holds a {type(key).__name__}; envelopes are signed with elliptic-curve keys.")
    return Identity(key, tuple(_der(certificate) for certificate in chain))


def channel_server_credential(home: Path) -> ChannelCredential | None:
    """The files that the channel is served with; None if this organisation serves none. Raises `StateError`."""
    key_path, chain_path = home / layout.CHANNEL_KEY, home / layout.CHANNEL_CHAIN
    if not (home / layout.CHANNEL).exists():
        return None
    key = parse_private_key(files.read_private(key_path), None, str(key_path))
    require_pair(_certificates(chain_path)[0], key, str(home / layout.CHANNEL))
    return ChannelCredential(str(chain_path), str(key_path))


def trust_bundle(home: Path) -> tuple[bytes, ...]:
    """Our trust anchors, DER: the root. Raises `StateError`."""
    return tuple(_der(certificate) for certificate in _certificates(home / layout.ROOT_CERTIFICATE))


def chain(home: Path) -> tuple[bytes, ...]:
    """The issuing CA's certificate, DER; empty if the root issues. Raises `StateError`."""
    intermediate = _intermediate(home)
    return (_der(intermediate),) if intermediate else ()


def without_key_usage(home: Path) -> tuple[str, ...]:
    """The subjects of those of our CA certificates that do not say what their keys are for. Raises `StateError`."""
    ours = (*_certificates(home / layout.ROOT_CERTIFICATE), _intermediate(home))
    return tuple(one.subject.rfc4514_string() for one in ours if one and not extension(one, x509.KeyUsage))


def _intermediate(home: Path) -> x509.Certificate | None:
    return _certificates(home / layout.ISSUING_CERTIFICATE)[0] if _has_intermediate(home) else None


def _has_intermediate(home: Path) -> bool:
    """Either file says that an intermediate issues: the root must not take over because one was lost."""
    return (home / layout.ISSUING_CERTIFICATE).exists() or (home / layout.ISSUING_KEY).exists()


def _certificates(path: Path) -> tuple[x509.Certificate, ...]:
    return parse_certificates(files.read_private(path), str(path))


def _require_valid(certificate: x509.Certificate, now: datetime) -> None:
    name, start, end = certificate.subject, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now <= end:
        raise StateError(
            f"the CA {name.rfc4514_string()} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}, and it is "
            f"{now:%Y-%m-%d}. Check this machine's clock; if it is right, a new CA is needed (agent init in a new "
            "home)."
        )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
