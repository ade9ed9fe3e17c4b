"""A look at the channel with a partner, from our end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents.bootstrap.agent import Agent
from agents.bootstrap.partner import known_partner
from agents.core.effects import RecordSession, Unit
from agents.errors import ConfigurationError, NotVerifiedError
from agents.ports import PartnerRecord
from protocol.messages import PeerView
from protocol.names import OrganisationName
from protocol.transaction import Role


@dataclass(frozen=True, slots=True)
class Checked:
    """What each end saw, and whether that was just now."""

    partner: OrganisationName
    opened_now: bool
    at: datetime
    handshake_seconds: float | None
    we_saw: PeerView | None
    partner_saw: PeerView | None


def check_channel(agent: Agent, partner: str) -> Checked:
    """Open the channel with our current credential; for a partner without one for us, report its last session.

    Raises `ConfigurationError` (no such partner, or no root pinned for it), `UnreachableError` or `NotVerifiedError`.
    """
    record = known_partner(agent, partner)
    credential = agent.credentials.credential(record.name)
    if credential is None or record.endpoint is None:
        return _last_session(agent, record)
    anchors = record.certificates_as(Role.ISSUER)
    if not anchors:
        raise ConfigurationError(
            f"no root of {record.name} is pinned that its channel could be judged by. Enroll with a new invitation of "
            f"its (there: `agent invite {agent.name}`)."
        )
    now = agent.clock.now()
    report = agent.dialer.dial(record.endpoint, credential, anchors, agent.name, record.name, now)
    seen, partner_saw = report.we_saw.model_dump_json(), report.partner_saw.model_dump_json()
    agent.ledger.commit([Unit((RecordSession(record.name, now, seen, partner_saw),))])
    return Checked(record.name, True, now, report.handshake_seconds, report.we_saw, report.partner_saw)  # noqa: FBT003


def _last_session(agent: Agent, partner: PartnerRecord) -> Checked:
    session = agent.ledger.last_session(partner.name)
    if session is None:
        raise NotVerifiedError(
            f"there was no channel with {partner.name} yet. It is opened by whoever holds a credential: "
            f"{_next(partner)}."
        )
    we_saw, partner_saw = (
        PeerView.model_validate_json(one) if one else None for one in (session.we_saw, session.partner_saw)
    )
    return Checked(partner.name, False, session.at, None, we_saw, partner_saw)  # noqa: FBT003


def _next(partner: PartnerRecord) -> str:
    """Who of the two has to enroll, as far as we know."""
    if partner.broker:
        return f"finish `agent enroll` with {partner.name} here first, see `agent status`"
    return f"after `agent enroll` at {partner.name}, run `agent channel check` there"
