"""What an operator wants to know of an agent at a glance; JSON-like values, the truth as of now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from agents.bootstrap.agent import Agent
from agents.core.effects import TransactionKey
from agents.core.health import is_silent, judge_link
from agents.ports import CertificateRecord, PartnerRecord, TransactionRecord
from agents.service.reports import said_at, said_of_link
from agents.service.stored import granted
from protocol.errors import printable
from protocol.path import load_certificate
from protocol.transaction import Role

SHOWN_CERTIFICATES = 20


def condition(agent: Agent) -> dict[str, Any]:
    """How the agent fares, by what its daemon says while it runs. Asks no ledger: this is asked every few seconds."""
    running, now = agent.lock.is_held(), agent.clock.now()
    heard = agent.health() or {}
    said = heard if running else {}
    silent = running and is_silent(said_at(said), now)
    links, crew = list(map(_judged, said.get("links", []))), said.get("issuing_processes")
    return {
        "organisation": agent.name,
        "home": str(agent.home),
        "running": running,
        "silent": silent,
        "healthy": running and not silent and all(link["well"] for link in links) and not (crew and crew["troubles"]),
        "said_at": said.get("at"),
        "died_at": None if running else heard.get("at"),
        "channel": said.get("channel"),
        "links": links,
        "issuing_processes": crew,
    }


def overview(agent: Agent, limit: int) -> dict[str, Any]:
    """Everything that `agent status` shows: its condition, and what is on record."""
    ledger, now = agent.ledger, agent.clock.now()
    backlog, unusable = ledger.backlog(now), agent.policies.unusable()
    return condition(agent) | {
        "root": agent.root,
        "identity_until": load_certificate(agent.identity.chain[0]).not_valid_after_utc,
        "waiting_to_leave": backlog.to_leave,
        "waiting_for_approval": backlog.for_approval,
        "quarantined": ledger.quarantine_count(),
        "partners": [_partner(agent, partner, unusable.get(partner.name)) for partner in ledger.partners()],
        "transactions": [_transaction(record) for record in ledger.list_transactions(limit=limit)],
        "certificates": [_certificate(agent, one, now) for one in ledger.certificates(limit=SHOWN_CERTIFICATES)],
    }


def _judged(link: Mapping[str, Any]) -> dict[str, Any]:
    judgement = judge_link(said_of_link(link))
    return {**link, "well": judgement.well, "state": judgement.words}


def _partner(agent: Agent, partner: PartnerRecord, unusable: str | None) -> dict[str, Any]:
    session = agent.ledger.last_session(partner.name)
    return {
        "name": partner.name,
        "agreed": partner.agreed,
        "agreement_unusable": unusable,
        "broker": partner.broker,
        "endpoint": str(partner.endpoint) if partner.endpoint else None,
        "roots": [{"acts_as": anchor.acts_as, "sha256": anchor.fingerprint} for anchor in partner.anchors],
        "last_channel": session.at.isoformat(timespec="seconds") if session else None,
    }


def _transaction(record: TransactionRecord) -> dict[str, Any]:
    return {
        "id": record.key.id,
        "role": record.key.role,
        "partner": record.key.partner,
        "state": record.state,
        "names": [printable(name) for name in record.names],
        "serial": record.serial,
        "updated_at": record.updated_at,
        "problems": [problem.model_dump(mode="json") for problem in record.problems],
    }


def _certificate(agent: Agent, record: CertificateRecord, now: datetime) -> dict[str, Any]:
    state = "withdrawn" if record.revoked_at else "expired" if record.not_after < now else "in force"
    return {
        "serial": record.serial,
        "issuer": record.issuer,
        "holder": record.subject,
        "days_left": max(0, round((record.not_after - now) / timedelta(days=1))),
        "not_after": record.not_after,
        "renew_after": _renew_after(agent, record),
        "state": state,
    }


def _renew_after(agent: Agent, record: CertificateRecord) -> datetime | None:
    """When the issuer wants us to enroll again, as it said with the certificate; None for what we issued."""
    key = TransactionKey(Role.REQUESTER, record.issuer, record.transaction)
    answer = granted(agent.ledger, key) if record.subject == agent.name else None
    return answer.renew_after if answer else None
