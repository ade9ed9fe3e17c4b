"""What an organisation decides before its keys are made: the plan of `agent init`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agents.errors import ConfigurationError
from protocol.names import DnsName, OrganisationName

TITLE_MAX = 64
"""Longest organisation name in a certificate, in characters (RFC 5280 appendix A.1, ub-organization-name)."""

PASSPHRASE_MIN = 8
"""Shortest passphrase for CA keys, in bytes: whoever steals the file may guess for as long as he likes."""


class KeyType(StrEnum):
    """Kinds of CA key that work wherever a certificate goes. Ed25519 is none: path validators refuse it as issuer."""

    P256 = "p-256"
    P384 = "p-384"
    P521 = "p-521"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


@dataclass(frozen=True, slots=True)
class OrganisationPlan:
    """Which CA and which certificates to make. Raises `ConfigurationError` if that cannot be done."""

    name: OrganisationName
    title: str
    """The organisation's name for people, as it stands in its CA certificates."""
    passphrase: bytes = field(repr=False)
    """Encrypts the CA keys."""
    key_type: KeyType = KeyType.P256
    """Of the CA keys that are made. Identity and channel keys are P-256 always."""
    intermediate: bool = True
    """Whether an intermediate CA issues, so that the root's key can be put away."""
    endpoint_host: DnsName | None = None
    """Where this organisation serves its channel; None if it only opens channels to others."""
    import_directory: str | None = None
    """A folder with an existing CA to use instead of a new root."""
    import_passphrase: bytes | None = field(default=None, repr=False)
    """Opens the keys in that folder; None means that `passphrase` does."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.title) <= TITLE_MAX or not self.title.isprintable() or self.title != self.title.strip():
            raise ConfigurationError(
                f"the organisation's name is {self.title!r}; wanted: 1 to {TITLE_MAX} printable characters without "
                "spaces around them. Give a shorter or cleaner --organization."
            )
        if len(self.passphrase) < PASSPHRASE_MIN:
            raise ConfigurationError(
                f"the passphrase has {len(self.passphrase)} bytes; wanted: {PASSPHRASE_MIN} or more, because it alone "
                "protects the CA keys. Put a longer one into the passphrase file."
            )
