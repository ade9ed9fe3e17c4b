"""Partners as an operator names them, and the roots that are pinned for them."""

from __future__ import annotations

from agents.bootstrap.agent import Agent
from agents.core.pinning import unit_for_unpinned
from agents.errors import ConfigurationError
from agents.ports import PartnerRecord
from protocol.errors import NameSyntaxError
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Role


def known_partner(agent: Agent, name: str) -> PartnerRecord:
    """The partner of this name. Raises `ConfigurationError` with the names of those that there are."""
    try:
        record = agent.ledger.partner(OrganisationName(name))
    except NameSyntaxError:
        record = None
    if record is None:
        known = ", ".join(one.name for one in agent.ledger.partners()) or "none yet"
        raise ConfigurationError(f"'{name}' is no partner of {agent.name}; known are: {known}.")
    return record


def unpin(agent: Agent, name: str, acts_as: Role) -> tuple[OrganisationName, tuple[Fingerprint, ...]]:
    """Remove what is pinned for a partner in this role, so that another root can be; a daemon that runs heeds it
    within `agents.service.partners.REMEMBERED_SECONDS`. Returns the partner and what was removed.

    Raises `ConfigurationError` if there is no such partner, or nothing is pinned for it in this role.
    """
    partner = known_partner(agent, name)
    roots = partner.pinned_as(acts_as)
    if not roots:
        pinned = ", ".join(f"as {one.acts_as} {one.fingerprint}" for one in partner.anchors) or "nothing"
        raise ConfigurationError(f"no root is pinned for {partner.name} as {acts_as}; pinned is: {pinned}.")
    (removed,) = agent.ledger.commit([unit_for_unpinned(partner.name, acts_as, roots, agent.clock.now())])
    if not removed:
        raise ConfigurationError(f"somebody else has just removed the root of {partner.name}. See `agent status`.")
    return partner.name, tuple(sorted(roots))
