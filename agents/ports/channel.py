"""The channel: who opens it, who listens, and what both report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agents.ports.keys import ChannelCredential
from protocol.messages import ChannelStatement, Endpoint, PeerView
from protocol.names import OrganisationName


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """A channel that both ends have looked at: what we saw of the partner, what the partner says it saw of us."""

    partner: OrganisationName
    we_saw: PeerView
    partner_saw: PeerView
    handshake_seconds: float


class ChannelDialer(Protocol):
    """Opens channels to partners."""

    def dial(
        self,
        endpoint: Endpoint,
        credential: ChannelCredential,
        anchors: Sequence[bytes],
        us: OrganisationName,
        partner: OrganisationName,
        now: datetime,
    ) -> ChannelReport:
        """Open a channel, validate the partner's path to `anchors` (DER), purpose and name, exchange statements, close.

        Raises `UnreachableError` (no connection, refused, timed out: worth trying again) or `NotVerifiedError`
        (connected, but what was seen is not what must be seen), each saying what to do.
        """


Admission = Callable[[bytes], OrganisationName]
"""Given the verified client certificate (DER): the partner whose it is in our records. Raises `ProtocolError`."""

SessionSink = Callable[[ChannelStatement | None, PeerView, OrganisationName], None]
"""Told of each session: the partner's statement (None if it made none), what we saw, and the admitted partner."""


class ChannelListener(Protocol):
    """Serves channels on a thread of its own; one bad client costs no other client anything."""

    def start(self) -> Endpoint:
        """Prove that a connection without a certificate is refused, then listen. Returns the bound address.
        Raises `StateError` (self-test failed, credential unusable) or `ConfigurationError` (address in use)."""

    def close(self, grace: float) -> None:
        """Stop listening; open exchanges get `grace` seconds."""
