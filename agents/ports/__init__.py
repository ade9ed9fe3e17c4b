"""What the services need of the world, as protocols: each has adapters under `agents.adapters` and one contract suite.

Nothing of a library's shows here. Adapters translate library errors into those of `agents.errors`.
"""

from agents.ports.bus import Bus, Delivery, LinkHealth, Outgoing, Publication, PublishOutcome
from agents.ports.channel import Admission, ChannelDialer, ChannelListener, ChannelReport, SessionSink
from agents.ports.keys import CertificateSigner, ChannelCredential, CredentialStore
from agents.ports.ledger import (
    AnchorRecord,
    BacklogRecord,
    CertificateRecord,
    InvitationRecord,
    Ledger,
    OutboxRecord,
    PartnerRecord,
    SessionRecord,
    TransactionRecord,
)
from agents.ports.system import Clock, Crew, Entropy, Log, Member

__all__ = [
    "Admission",
    "AnchorRecord",
    "BacklogRecord",
    "Bus",
    "CertificateRecord",
    "CertificateSigner",
    "ChannelCredential",
    "ChannelDialer",
    "ChannelListener",
    "ChannelReport",
    "Clock",
    "CredentialStore",
    "Crew",
    "Delivery",
    "Entropy",
    "InvitationRecord",
    "Ledger",
    "LinkHealth",
    "Log",
    "Member",
    "OutboxRecord",
    "Outgoing",
    "PartnerRecord",
    "Publication",
    "PublishOutcome",
    "SessionRecord",
    "SessionSink",
    "TransactionRecord",
]
