"""The CA key and the credentials: who signs, and where what was issued is put to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.core.policy import Approved
from protocol.names import OrganisationName, SerialNumber


class CertificateSigner(Protocol):
    """The one door to the issuing CA's key."""

    def issue(self, approved: Approved, serial: SerialNumber) -> bytes:
        """The signed certificate, DER, exactly as approved. Raises `ProtocolError` for what the CA may not certify."""

    def certificate(self) -> bytes:
        """The issuing CA's certificate, DER."""

    def chain(self) -> tuple[bytes, ...]:
        """The chain above an issued certificate without the root, leaf's issuer first; empty if the root issues."""

    def trust_bundle(self) -> tuple[bytes, ...]:
        """Our trust anchors, DER."""


@dataclass(frozen=True, slots=True)
class ChannelCredential:
    """PEM files that one end of a channel shows: leaf-first chain without root, and its unencrypted PKCS#8 key."""

    chain_path: str
    key_path: str


class CredentialStore(Protocol):
    """The credentials that we hold, one directory per issuer; `current` is the one in use. Raises `StateError`."""

    def stage(
        self,
        issuer: OrganisationName,
        serial: SerialNumber,
        certificate: bytes,
        chain: Sequence[bytes],
        anchors: Sequence[bytes],
        key_path: str | None,
    ) -> None:
        """Write the files of a credential (all DER in, PEM out) beside the current one: complete or not at all, and
        idempotent. `key_path` is relative to the home; None for a key kept elsewhere."""

    def activate(self, issuer: OrganisationName, serial: SerialNumber) -> None:
        """Make a staged credential the current one, in one atomic step. Idempotent."""

    def withdraw(self, issuer: OrganisationName, serial: SerialNumber, instead: Sequence[SerialNumber]) -> None:
        """If this credential is the current one, make the first of `instead` that is staged the current one in its
        place, or none; in one atomic step. Idempotent."""

    def credential(self, issuer: OrganisationName, serial: SerialNumber | None = None) -> ChannelCredential | None:
        """The staged credential with this serial, or the current one; None if there is none."""
