"""The requester's credentials on disk: keys made before a request leaves, certificates put in place when they arrive.

    credentials/<issuer>/keys/<transaction>.pem   a private key whose certificate has been asked for and is not here yet
    credentials/<issuer>/<serial>/                key.pem cert.pem chain.pem fullchain.pem trust.pem
    credentials/<issuer>/current -> <serial>      the credential in force

A credential appears complete or not at all, is never changed afterwards, and comes into force in one step; until then
the old one stays in force untouched. Any TLS program can use the files as they are. All are 0600 in directories 0700.
A key lies in one place: it leaves `keys` once it lies beside its certificate, or when its transaction has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from agents.adapters import files
from agents.core.pem import certificates_pem, parse_certificates, parse_private_key, private_key_pem, require_pair
from agents.errors import StateError
from agents.ports import ChannelCredential
from protocol.csr import KeyKind, RequesterKey
from protocol.errors import NameSyntaxError
from protocol.names import OrganisationName, SerialNumber, TransactionId
from protocol.path import load_certificate

RSA_BITS = 3072
"""Modulus of the RSA keys that we make, in bits."""

_CURVES = {KeyKind.P256: ec.SECP256R1(), KeyKind.P384: ec.SECP384R1(), KeyKind.P521: ec.SECP521R1()}


class CredentialFiles:
    """The `CredentialStore` port over the directory `credentials` of a home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def new_key(
        self, issuer: OrganisationName, transaction: TransactionId, kind: KeyKind = KeyKind.P256
    ) -> tuple[RequesterKey, str]:
        """Make a private key for a transaction. Returns it and its path relative to the home.

        It is on disk, durably, before it is returned. Raises `StateError`, also if the transaction has a key already.
        """
        relative = Path("credentials", issuer, "keys", f"{transaction}.pem")
        key = _generate(kind)
        files.make_directory((self._home / relative).parent)
        files.create_file(self._home / relative, private_key_pem(key))
        return key, str(relative)

    def load_key(self, relative: str) -> RequesterKey:
        """The key at a path relative to the home, as `new_key` gave it. Raises `StateError`."""
        path = self._inside(relative)
        key = parse_private_key(_read_key(path), None, str(path))
        if not isinstance(key, RequesterKey):
            raise StateError(f"{path} holds a {type(key).__name__}, not a key that `agent enroll` makes. Enroll again.")
        return key

    def waiting_keys(self, issuer: OrganisationName) -> tuple[TransactionId, ...]:
        """The transactions whose keys lie here without a certificate."""
        found = []
        for path in self._keys(issuer).glob("*.pem"):
            with suppress(NameSyntaxError):  # what somebody else put here is none of ours
                found.append(TransactionId(path.stem))
        return tuple(found)

    def forget_key(self, issuer: OrganisationName, transaction: TransactionId) -> None:
        """Delete the key of a transaction for which no certificate will be installed any more. Idempotent."""
        files.remove_file(self._keys(issuer) / f"{transaction}.pem")

    def stage(
        self,
        issuer: OrganisationName,
        serial: SerialNumber,
        certificate: bytes,
        chain: Sequence[bytes],
        anchors: Sequence[bytes],
        key_path: str | None,
    ) -> None:
        """Write a credential beside the current one: complete or not at all, and idempotent. Certificates are DER.

        `chain` leads from the leaf's issuer upwards, without the root. `key_path` is relative to the home; None for a
        key kept elsewhere, and then there is no key.pem; else the key moves there. Raises `StateError`, also if
        certificate and key do not belong together or another certificate lies under this serial number.
        """
        leaf = load_certificate(certificate)
        if not self._is_staged(issuer, serial, leaf):
            above, trusted = [load_certificate(one) for one in chain], [load_certificate(one) for one in anchors]
            contents = _contents(leaf, above, trusted)
            if key_path is not None:
                key = self.load_key(key_path)
                require_pair(leaf, key, f"transaction key {key_path}")
                contents["key.pem"] = private_key_pem(key)
            self._publish(issuer, serial, contents)
        if key_path is not None:
            files.remove_file(self._inside(key_path))

    def activate(self, issuer: OrganisationName, serial: SerialNumber) -> None:
        """Make a staged credential the current one, in one step; idempotent. Raises `StateError` if it is not there."""
        directory = self._directory(issuer)
        if not (directory / serial / "cert.pem").exists():
            raise StateError(f"{directory / serial} holds no credential. Enroll again (agent enroll).")
        files.swap_link(directory / "current", serial)

    def withdraw(self, issuer: OrganisationName, serial: SerialNumber, instead: Sequence[SerialNumber]) -> None:
        """If this credential is the current one, make the first of `instead` that is here the current one in its place,
        or none; in one step; idempotent. Raises `StateError`."""
        directory = self._directory(issuer)
        link = directory / "current"
        if not link.is_symlink() or str(link.readlink()) != serial:
            return
        here = [one for one in instead if one != serial and (directory / one / "cert.pem").exists()]
        if here:
            files.swap_link(link, here[0])
        else:
            files.remove_file(link)

    def credential(self, issuer: OrganisationName, serial: SerialNumber | None = None) -> ChannelCredential | None:
        """The credential with this serial number, or the current one; None if there is none.

        A key kept elsewhere is not looked for. Raises `StateError` if a key does not belong to its certificate.
        """
        directory = self._credential(issuer, serial)
        if directory is None:
            return None
        chain_path, key_path = directory / "fullchain.pem", directory / "key.pem"
        if key_path.exists():
            key = parse_private_key(files.read_private(key_path), None, str(key_path))
            require_pair(parse_certificates(files.read_private(chain_path), str(chain_path))[0], key, str(directory))
        return ChannelCredential(str(chain_path), str(key_path))

    def _directory(self, issuer: OrganisationName) -> Path:
        return self._home / "credentials" / issuer

    def _keys(self, issuer: OrganisationName) -> Path:
        return self._directory(issuer) / "keys"

    def _credential(self, issuer: OrganisationName, serial: SerialNumber | None) -> Path | None:
        """The directory of a credential. `current` is followed once, so that what is read belongs together."""
        directory = self._directory(issuer)
        if serial is not None:
            found = directory / serial
        else:
            link = directory / "current"
            found = directory / link.readlink() if link.is_symlink() else link
        return found if found.exists() else None

    def _is_staged(self, issuer: OrganisationName, serial: SerialNumber, leaf: x509.Certificate) -> bool:
        path = self._directory(issuer) / serial / "cert.pem"
        if not path.exists():
            return False
        if parse_certificates(files.read_private(path), str(path)) != (leaf,):
            raise StateError(f"{path} is another certificate than {issuer} sent. Tell {issuer}; then enroll again.")
        return True

    def _publish(self, issuer: OrganisationName, serial: SerialNumber, contents: dict[str, bytes]) -> None:
        directory = self._directory(issuer)
        files.make_directory(directory)
        with files.staging_directory(directory / serial) as staging:
            for name, data in contents.items():
                files.create_file(staging / name, data)
            files.publish_directory(staging, directory / serial)

    def _inside(self, relative: str) -> Path:
        path = Path(relative)
        if path.is_absolute() or ".." in path.parts:
            raise StateError(f"the key path {relative!r} leads out of the home. Restore the ledger from a backup.")
        return self._home / path


def _read_key(path: Path) -> bytes:
    try:
        return files.read_private(path)
    except StateError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise StateError(
                f"a private key is missing: {path}. No certificate for it is of use without it. "
                "Restore the file; if that cannot be done, enroll again once this enrollment has been given up."
            ) from error
        raise


def _contents(
    leaf: x509.Certificate, above: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> dict[str, bytes]:
    return {
        "cert.pem": certificates_pem([leaf]),
        "chain.pem": certificates_pem(above),
        "fullchain.pem": certificates_pem([leaf, *above]),
        "trust.pem": certificates_pem(anchors),
    }


def _generate(kind: KeyKind) -> RequesterKey:
    match kind:
        case KeyKind.RSA:
            return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case KeyKind.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return ec.generate_private_key(_CURVES[kind])
