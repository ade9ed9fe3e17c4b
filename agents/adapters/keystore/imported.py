"""Take over an existing certification authority from a folder, as the `openssl` commands leave it.

One self-signed CA certificate and its key, optionally one intermediate below it with its key; other files may lie there
too. File names do not matter. What is ambiguous is refused, with a list of what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agents.adapters import files
from agents.adapters.keystore.authority import Authority, CaKey, Keyed
from agents.core.pem import Block, belong_together, blocks, parse_certificates, parse_private_key
from agents.errors import ConfigurationError, StateError
from protocol.path import RSA_BITS_MAX, RSA_BITS_MIN, extension, is_issued_by

FILES_MAX = 200
"""Most files in a folder that is searched: a CA's folder has a dozen."""


@dataclass(slots=True)
class _Findings:
    """What lies in a folder; certificates by the file that they were first seen in."""

    certificates: dict[x509.Certificate, str] = field(default_factory=dict)
    keys: list[CaKey] = field(default_factory=list, repr=False)
    notes: list[str] = field(default_factory=list)


def read_authority(directory: Path, passphrase: bytes, now: datetime) -> Authority:
    """The one CA in `directory`, its keys opened with `passphrase` (unencrypted ones are taken as they are).

    Raises `ConfigurationError` unless there is exactly one usable root, valid at `now`, with the key of the root or of
    exactly one intermediate below it.
    """
    found = _search(directory, passphrase)
    root = _the_root(directory, found)
    # By name only: one whose signature is wrong is not passed over in silence but refused by the ceremony's test.
    intermediates = [one for one in _with_keys(found, root) if one.certificate.issuer == root.subject]
    if len(intermediates) > 1:
        raise _refused(directory, found, "more than one intermediate CA with its key", "Leave one intermediate there.")
    root_key = next((key for key in found.keys if belong_together(root, key)), None)
    if root_key is None and not intermediates:
        remedy = "Put the root's key there; where it is encrypted, give its passphrase (--import-passphrase-file)."
        raise _refused(directory, found, "no key for the CA that could be opened", remedy)
    authority = Authority(root, root_key, intermediates[0] if intermediates else None)
    _check_usable(directory, found, authority, now)
    return authority


def _search(directory: Path, passphrase: bytes) -> _Findings:
    with files.explained("list", directory):
        paths = sorted(path for path in directory.iterdir() if path.is_file())
    if len(paths) > FILES_MAX:
        raise ConfigurationError(f"{directory} has {len(paths)} files; put the CA's into a folder of their own.")
    found = _Findings()
    for path in paths:
        for block in blocks(files.read_foreign(path)):
            _sort_in(found, block, path.name, passphrase)
    return found


def _sort_in(found: _Findings, block: Block, name: str, passphrase: bytes) -> None:
    """Damaged or locked things are noted, not fatal: the folder may hold more than the CA."""
    try:
        if block.label == "CERTIFICATE":
            found.certificates.setdefault(parse_certificates(block.text, name)[0], name)
        elif block.label.endswith("PRIVATE KEY"):
            key = parse_private_key(block.text, passphrase, name)
            if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
                found.keys.append(key)
                found.notes.append(f"{name}: a private key")
    except (StateError, ConfigurationError) as error:
        found.notes.append(f"{name}: not usable ({error})")


def _the_root(directory: Path, found: _Findings) -> x509.Certificate:
    roots = [one for one in found.certificates if _is_authority(one) and is_issued_by(one, one)]
    if len(roots) != 1:
        remedy = "Leave exactly one root there: a self-signed certificate with the basic constraint CA:TRUE."
        raise _refused(directory, found, f"{len(roots) or 'no'} self-signed CA certificates", remedy)
    return roots[0]


def _with_keys(found: _Findings, root: x509.Certificate) -> Iterable[Keyed]:
    for certificate in found.certificates:
        key = next((key for key in found.keys if belong_together(certificate, key)), None)
        if key and _is_authority(certificate) and not is_issued_by(certificate, certificate):
            yield Keyed(certificate, key, root)


def _check_usable(directory: Path, found: _Findings, authority: Authority, now: datetime) -> None:
    above = [authority.intermediate.certificate] if authority.intermediate else []
    for certificate in (authority.root, *above):
        name, end = certificate.subject.rfc4514_string(), certificate.not_valid_after_utc
        if not certificate.not_valid_before_utc <= now <= end:
            raise _refused(directory, found, f"'{name}' is not valid now (until {end:%Y-%m-%d})", "Use a valid CA.")
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey) and not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            remedy = f"Use a CA with {RSA_BITS_MIN} to {RSA_BITS_MAX} bits."
            raise _refused(directory, found, f"'{name}' has an RSA key of {key.key_size} bits", remedy)


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _refused(directory: Path, found: _Findings, got: str, remedy: str) -> ConfigurationError:
    certificates = [f"{name}: {_description(one)}" for one, name in found.certificates.items()]
    listing = "; ".join(certificates + found.notes) or "nothing in PEM"
    return ConfigurationError(f"cannot import a CA from {directory}: {got}. {remedy} Found: {listing}")


def _description(certificate: x509.Certificate) -> str:
    kind = "CA" if _is_authority(certificate) else "not a CA (no basic constraint CA:TRUE)"
    digest = certificate.signature_hash_algorithm
    return f"certificate '{certificate.subject.rfc4514_string()}', {kind}, signed over {digest.name if digest else '?'}"
