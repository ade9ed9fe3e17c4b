"""What a process says of its health, as JSON values, and how it is read again: by the daemon, by whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agents.core.health import LinkState, ProcessState
from protocol.names import OrganisationName
from protocol.transaction import Role

if TYPE_CHECKING:
    from agents.ports import LinkHealth, Member
    from agents.service.supervision import Link

Report = dict[str, Any]
"""JSON values only."""


def state_of(link: Link) -> LinkState:
    """How a link of this process fares now."""
    return _state(link, link.bus.health())


def _state(link: Link, health: LinkHealth) -> LinkState:
    return LinkState(health.connected, health.blocked, health.last_error, link.worker.trouble, link.concern())


def link_report(role: Role, issuer: OrganisationName, link: Link) -> Report:
    """What a process says of one of its links."""
    health = link.bus.health()
    times = {"since": health.since, "last_error_at": health.last_error_at}
    said = {name: moment.isoformat() if moment else None for name, moment in times.items()}
    return {"role": role.value, "issuer": issuer, **asdict(_state(link, health)), **said}


def fault_report(role: Role, issuer: OrganisationName, why: str) -> Report:
    """What it says of a link that it cannot make."""
    return {"role": role.value, "issuer": issuer, **asdict(LinkState(connected=False, trouble=why))}


def said_of_link(report: Mapping[str, Any]) -> LinkState:
    """What a process said of a link."""
    return LinkState(
        connected=bool(report.get("connected")),
        blocked=report.get("blocked"),
        last_error=report.get("last_error"),
        trouble=report.get("trouble"),
        concern=report.get("concern"),
    )


def said_at(report: Mapping[str, Any]) -> datetime | None:
    """When a process spoke; None if it has not."""
    return datetime.fromisoformat(report["at"]) if "at" in report else None


def state_of_member(member: Member) -> ProcessState:
    """What an issuing process of the crew said; nothing that another process said in its place before."""
    said = member.said if member.said and member.said.get("pid") == member.pid else {}
    return ProcessState(member.pid, said_at(said), tuple(map(said_of_link, said.get("links", []))))
