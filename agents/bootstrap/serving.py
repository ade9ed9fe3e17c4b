"""Puts the daemon together: its links, its channel, its helpers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agents.adapters.crew import IssuingCrew
from agents.adapters.home import write_health
from agents.adapters.keystore import chain, trust_bundle
from agents.adapters.tls import TlsChannelListener
from agents.bootstrap.links import open_link
from agents.config.agent import parse_listen
from agents.core.admission import IssuedFacts, admit
from agents.core.effects import RecordSession, Unit
from agents.service.daemon import Daemon
from protocol.certificate import serial_number
from protocol.path import load_certificate

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent
    from agents.ports import CertificateRecord
    from protocol.messages import ChannelStatement, PeerView
    from protocol.names import OrganisationName


def make_daemon(agent: Agent) -> Daemon:
    """The whole agent at work. The caller holds the lock of the home.

    Raises `StateError` or `ConfigurationError` for keys and files that cannot be used, before anything is begun.
    """
    _ = agent.sealer
    if agent.config.channel is not None:
        _ = agent.signer  # who serves a channel issues
    more = agent.config.issuing.processes - 1
    crew = IssuingCrew(agent.home, more, agent.log) if more else None

    def report(health: dict[str, Any]) -> None:
        write_health(agent.home, health)

    links = partial(open_link, agent)
    return Daemon(agent.place, links, make_listener(agent), crew, report)


def make_listener(agent: Agent) -> TlsChannelListener | None:
    """Our own channel, not yet open; None where none is configured."""
    credential = agent.channel_credential()
    if agent.config.channel is None or credential is None:
        return None

    def admission(leaf: bytes) -> OrganisationName:
        record = agent.ledger.certificate(agent.name, serial_number(load_certificate(leaf)))
        agreed = record is not None and agent.policies.policy_of(record.subject) is not None
        return admit(agent.name, _facts(record) if record else None, leaf, agent.clock.now(), agreed=agreed)

    def note(statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName) -> None:
        partner_saw = statement.sees.model_dump_json() if statement else None
        session = RecordSession(partner, agent.clock.now(), seen.model_dump_json(), partner_saw)
        agent.ledger.commit([Unit((session,))])

    return TlsChannelListener(
        organisation=agent.name,
        credential=credential,
        client_anchors=trust_bundle(agent.home),
        intermediates=chain(agent.home),
        listen=parse_listen(agent.config.channel.listen),
        admission=admission,
        sink=note,
        clock=agent.clock,
        log=agent.log,
    )


def _facts(record: CertificateRecord) -> IssuedFacts:
    return IssuedFacts(
        record.issuer, record.subject, record.certificate, record.not_before, record.not_after, record.revoked_at
    )
