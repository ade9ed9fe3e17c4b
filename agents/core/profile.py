"""Certificate profiles (RFC 5280 section 4): the complete shape of every certificate that this agent makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from protocol.csr import SubjectAttribute, SubjectName

BACKDATE = timedelta(minutes=5)
"""How far notBefore lies before the moment of issue, so that a partner whose clock is slow accepts the certificate."""


class Profile(StrEnum):
    """The five kinds of certificate."""

    ROOT = "root"
    INTERMEDIATE = "intermediate"
    AGENT_IDENTITY = "agent-identity"
    CHANNEL_SERVER = "channel-server"
    CHANNEL_CLIENT = "channel-client"


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """Everything a certificate says except serial number, issuer and key identifiers.

    `public_key` is a DER SubjectPublicKeyInfo; `extended_key_usages` are dotted OIDs; times are aware, UTC, whole seconds.
    """

    profile: Profile
    subject: tuple[SubjectAttribute, ...]
    names: tuple[SubjectName, ...]
    public_key: bytes
    extended_key_usages: tuple[str, ...]
    not_before: datetime
    not_after: datetime
