"""An enrollment that is asked for once more: who repeats a command wants its outcome, not a second transaction."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.asking import Ask, own_key_path, read_request
from agents.bootstrap.enrollment import choose_issuer, spent_on
from agents.bootstrap.following import GOOD
from agents.ports import TransactionRecord
from agents.service.installing import PATIENCE, UNDERWAY
from agents.service.stored import asked
from protocol.csr import parse_csr
from protocol.invitation import Invitation
from protocol.messages import EnrollmentRequest
from protocol.transaction import Role, State, unfinished

OPEN = unfinished(Role.REQUESTER)
"""States from which a transaction goes on."""

Gist = tuple[object, ...]
"""What is equal in two requests that ask for the same, and in no others."""


def earlier(agent: Agent, ask: Ask, invitation: Invitation | None) -> TransactionRecord | None:
    """The latest transaction that asked for exactly this and is still worth following; None if one is to be begun.

    That is one that goes on, and with an invitation one that ended well too, as its issuer would refuse that a second
    time; with one that has expired unused, one that ended otherwise as well, as nothing else can come of it. With an
    invitation it must have been begun with this very one, or with none after this one was used. Raises as
    `enrollment.plan`.
    """
    issuer, wanted, now = choose_issuer(agent, invitation, ask.issuer), _wanted(ask), agent.clock.now()
    spent = spent_on(agent, invitation) if invitation else None
    states = _followed(invitation, spent, now)
    for record in agent.ledger.list_transactions(Role.REQUESTER, states, partner=issuer):
        meant = invitation is None or _was_meant(invitation, record, spent)
        if meant and _in_time(record, now) and _recorded(record, asked(agent.ledger, record.key)) == wanted:
            return record
    return None


def _followed(invitation: Invitation | None, spent: TransactionRecord | None, now: datetime) -> frozenset[State]:
    """In which states a transaction is what whoever repeats the command wants to hear of."""
    if invitation is None:
        return OPEN
    return frozenset(State) if spent is None and now >= invitation.expires_at else OPEN | GOOD


def _was_meant(invitation: Invitation, record: TransactionRecord, spent: TransactionRecord | None) -> bool:
    """Whether a request was begun with `invitation`, or without any because that had been spent before."""
    if record.invitation:
        return record.invitation == invitation.id
    return spent is not None and spent.created_at <= record.created_at


def _in_time(record: TransactionRecord, now: datetime) -> bool:
    """Whether the next step of a transaction is still to be hoped for, or there is none."""
    if record.state in UNDERWAY:
        return now <= record.updated_at + PATIENCE
    return record.state not in OPEN or now <= record.expires_at


def _wanted(ask: Ask) -> Gist:
    seconds = int(ask.lifetime.total_seconds()) if ask.lifetime else None
    request = read_request(ask)
    if ask.csr_file:
        return request.der, own_key_path(ask, request), seconds
    return frozenset(request.names), request.subject, ask.key_kind, seconds


def _recorded(record: TransactionRecord, request: EnrollmentRequest) -> Gist:
    if record.key_path is None or Path(record.key_path).is_absolute():  # a key of the operator's own
        return request.csr, record.key_path, request.lifetime_seconds
    made = parse_csr(request.csr)
    return frozenset(made.names), made.subject, made.key.kind, request.lifetime_seconds
