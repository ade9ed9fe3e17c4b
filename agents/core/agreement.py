"""What was agreed with a partner (`Policy`), and what a verdict depends on besides the request (`Context`).

Both are plain values. No field has a default: what a policy file leaves out is decided where files are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from cryptography.x509.oid import ExtendedKeyUsageOID

from agents.core.patterns import NamePattern
from protocol.csr import KeyKind, SubjectAttribute
from protocol.names import DnsName, Fingerprint, OrganisationName

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string

USAGES: Mapping[str, str] = MappingProxyType(
    {"clientAuth": CLIENT_AUTH, "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH.dotted_string}
)
"""Extended key usages that a policy can allow (RFC 5280 section 4.2.1.12), name -> OID. Closed on purpose: a partner
that could sign OCSP answers, time stamps or code under our root would hold a part of our CA."""


class CommonName(StrEnum):
    """What becomes of a common name, which must be one of the DNS names in any case (RFC 9525 section 2)."""

    ABSENT = "absent"
    """It is left out of the certificate."""
    DNS_NAME = "dns-name"
    """It is taken over."""


class KeyReuse(StrEnum):
    """Whether a key that already has a certificate from us may get another. Across partners it never may."""

    SAME_PARTNER = "same-partner"
    NEVER = "never"


class Approval(StrEnum):
    """Whether a person must approve what every rule allows."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be issued to one partner. An empty collection allows nothing of its kind."""

    names: tuple[NamePattern, ...]
    names_maximum: int
    common_name: CommonName
    subject_taken: frozenset[str]
    """OIDs of the subject attributes that are taken over as they were asked for."""
    subject_stamped: tuple[SubjectAttribute, ...]
    """Attributes that every certificate gets, whatever was asked for."""
    key_kinds: frozenset[KeyKind]
    rsa_bits_minimum: int
    key_reuse: KeyReuse
    signature_hashes: frozenset[str]
    """Those allowed in the request's own signature. A scheme that fixes its hash (Ed25519) goes with its key."""
    extended_key_usages: frozenset[str]
    """Dotted OIDs, of `USAGES`."""
    lifetime_default: timedelta
    lifetime_maximum: timedelta
    request_bytes_maximum: int
    """Of DER."""
    approval: Approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one request, as its issuer knows them. Times are aware, UTC."""

    requester: OrganisationName
    """The authenticated partner."""
    now: datetime
    issuer_not_after: datetime
    """The end of the issuing CA, or of its root if that is sooner; nothing is issued beyond it."""
    lifetime: timedelta | None
    """What was asked for, if anything was."""
    key_holders: frozenset[OrganisationName]
    """Who already holds certificates of ours for this public key."""
    signing_keys: frozenset[Fingerprint]
    """Keys that sign envelopes or certificates: the requester's, as far as it shows them, and our CA's."""
    endpoint: DnsName | None
    """The host name of our own channel, as far as it is known: it is issued to nobody else."""
    approved: bool
    """A person at the issuer has approved this very request."""
