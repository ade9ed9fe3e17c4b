"""Puts the services together that work on one link to a broker, in either role."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.adapters.amqp import AmqpBus
from agents.errors import ConfigurationError
from agents.service.answering import Answering
from agents.service.daemon import Link
from agents.service.inbox import Inbox
from agents.service.installing import Installing
from agents.service.issuing import Issuing
from agents.service.partners import Partners
from agents.service.relay import Relay
from agents.service.requesting import Requesting
from agents.service.supervision import Worker
from agents.service.upkeep import Upkeep
from protocol.names import OrganisationName
from protocol.topology import reply_queue, request_queue
from protocol.transaction import Role

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent

Work = Callable[[float], object]
Concern = Callable[[], str | None]


def open_link(agent: Agent, role: Role, issuer: OrganisationName, *, upkeep: bool = True) -> Link:
    """A link with the thread that works on it, not yet started; it connects by itself.

    Only one issuer process does the upkeep. Raises `ConfigurationError` if the broker or our part is not configured.
    """
    queue = request_queue(agent.name) if role is Role.ISSUER else reply_queue(agent.name)
    bus = AmqpBus(agent.access(issuer), agent.name, queue, agent.clock, agent.log)
    title = f"{role.value} {issuer}"
    if role is Role.ISSUER:
        work, concern = _issuing(agent, bus, upkeep=upkeep)
        return Link(bus, Worker(title, work, bus, agent.log), concern)
    service = requesting(agent, issuer, bus)
    return Link(bus, Worker(title, service.work, bus, agent.log), service.concern)


def requesting(agent: Agent, issuer: OrganisationName, bus: AmqpBus) -> Requesting:
    """The requester's side of the link to `issuer`."""
    installing = Installing(
        agent.name, issuer, agent.ledger, agent.sealer, agent.credentials, agent.dialer, agent.clock, agent.log
    )
    partners = Partners(agent.ledger, agent.clock)
    return Requesting(agent.name, issuer, bus, agent.ledger, agent.sealer, partners, installing, agent.clock, agent.log)


def _issuing(agent: Agent, bus: AmqpBus, *, upkeep: bool) -> tuple[Work, Concern]:
    partners = Partners(agent.ledger, agent.clock)
    answering = _answering(agent, partners)
    inbox = Inbox(agent.name, agent.name, partners, agent.clock, agent.log)
    issuing = Issuing(agent.name, bus, agent.ledger, answering, agent.sealer, inbox, agent.clock, agent.log)
    relay = Relay(agent.name, agent.name, bus, agent.ledger, agent.clock, agent.log)
    if not upkeep:
        return issuing.work, relay.concern
    within = agent.config.issuing.confirm_within
    by_the_clock = Upkeep(agent.name, agent.ledger, answering, inbox, relay, within, agent.clock, agent.log)

    def work(timeout: float) -> None:
        issuing.work(timeout)
        by_the_clock.work()

    return work, relay.concern


def _answering(agent: Agent, partners: Partners) -> Answering:
    if agent.config.channel is None:
        raise ConfigurationError(
            f"{agent.name} has no channel that partners could reach: make the agent with `agent init --endpoint`, "
            "or invite nobody."
        )
    return Answering(
        agent.config.channel.endpoint,
        agent.signer,
        agent.sealer,
        partners,
        agent.policies.policy_of,
        agent.clock,
        agent.entropy,
        agent.log,
    )
