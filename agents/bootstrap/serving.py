"""Puts the daemon together: its links, its channel, its helpers."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.adapters.crew import IssuingCrew
from agents.adapters.home import read_health, write_health
from agents.adapters.keystore import chain, trust_bundle
from agents.adapters.tls import TlsChannelListener
from agents.bootstrap.agreement import AgreementWatch, has_agreement
from agents.bootstrap.links import open_link
from agents.config.agent import parse_listen
from agents.core.admission import IssuedFacts, admit
from agents.core.issuer import unit_for_session
from agents.service.daemon import CLOSE_SECONDS, FINISH_SECONDS, Daemon
from agents.service.reports import link_report
from protocol.certificate import serial_number
from protocol.path import load_certificate
from protocol.transaction import Role

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
    hear = partial(read_health, agent.home)
    crew = IssuingCrew(agent.home, more, hear, agent.clock, agent.log) if more else None
    agreements = AgreementWatch(agent)

    def say(health: dict[str, Any]) -> None:
        agreements.look()
        write_health(agent.home, health)

    return Daemon(agent.place, partial(open_link, agent), make_listener(agent), crew, say)


def issue_beside(agent: Agent, number: int, wanted: Callable[[], bool]) -> None:
    """Issue in place `number` of a crew, and say how that goes, for as long as `wanted` says so.

    It waits a second at most each time it is asked.
    """
    link = open_link(agent, Role.ISSUER, agent.name, upkeep=False)
    link.worker.start()
    while wanted():
        links = [link_report(Role.ISSUER, agent.name, link)]
        try:
            write_health(agent.home, {"pid": os.getpid(), "at": agent.clock.now().isoformat(), "links": links}, number)
        except OSError as error:
            agent.log.warning("health not written", why=str(error), fix="make the home writable and check the disk")
    link.worker.stop()
    link.worker.join(FINISH_SECONDS)
    link.bus.close(CLOSE_SECONDS)


def make_listener(agent: Agent) -> TlsChannelListener | None:
    """Our own channel, not yet open; None where none is configured."""
    credential = agent.channel_credential()
    if agent.config.channel is None or credential is None:
        return None

    def admission(leaf: bytes) -> OrganisationName:
        record = agent.ledger.certificate(agent.name, serial_number(load_certificate(leaf)))
        agreed = record is not None and has_agreement(agent, record.subject)
        return admit(agent.name, _facts(record) if record else None, leaf, agent.clock.now(), agreed=agreed)

    def note(statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName) -> None:
        agent.ledger.commit([unit_for_session(statement, seen, partner, agent.name, agent.clock.now())])

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
