"""Puts the services together that work on one link to a broker, in either role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.adapters.amqp import AmqpBus
from agents.errors import ConfigurationError
from agents.service import roles
from agents.service.authority import Authority
from agents.service.roles import Issuer, Requester
from agents.service.supervision import Link, Worker
from protocol.names import OrganisationName
from protocol.topology import reply_queue, request_queue
from protocol.transaction import Role

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent


def open_link(agent: Agent, role: Role, issuer: OrganisationName, *, upkeep: bool = True) -> Link:
    """A link with the thread that works on it, not yet started; it connects by itself.

    Only one issuer process does the upkeep. Raises `ConfigurationError` if the broker or our part is not configured.
    """
    queue = request_queue(agent.name) if role is Role.ISSUER else reply_queue(agent.name)
    bus = AmqpBus(agent.access(issuer), agent.name, queue, agent.clock, agent.log)
    ours = _issuer(agent, bus) if role is Role.ISSUER else _requester(agent, issuer, bus)
    work = ours.work if upkeep or isinstance(ours, Requester) else ours.issuing.work
    return Link(bus, Worker(f"{role.value} {issuer}", work, bus, agent.log), ours.concern)


def _requester(agent: Agent, issuer: OrganisationName, bus: AmqpBus) -> Requester:
    return roles.requester(agent.place, issuer, bus, agent.sealer, agent.credentials, agent.dialer)


def _issuer(agent: Agent, bus: AmqpBus) -> Issuer:
    if agent.config.channel is None:
        raise ConfigurationError(
            f"{agent.name} has no channel that partners could reach: make the agent with `agent init --endpoint`, "
            "or invite nobody."
        )
    authority = Authority(agent.signer, agent.identity.chain, agent.config.channel.endpoint, agent.entropy)
    within = agent.config.issuing.confirm_within
    return roles.issuer(agent.place, bus, agent.sealer, authority, agent.policies.policy_of, within)
