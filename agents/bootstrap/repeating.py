"""An enrollment that is asked for once more: who repeats a command wants its outcome, not a second transaction."""

from __future__ import annotations

from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.asking import Ask, model_request, own_key_path, read_request
from agents.bootstrap.enrollment import choose_issuer
from agents.bootstrap.following import GOOD
from agents.ports import TransactionRecord
from protocol.csr import parse_csr
from protocol.envelope import reread
from protocol.invitation import Invitation
from protocol.messages import EnrollmentRequest
from protocol.transaction import TABLE, Role, State

OPEN = frozenset(state for state, _ in TABLE[Role.REQUESTER])
"""States from which a transaction goes on."""

ANSWERED = frozenset({State.ISSUED, State.INSTALLED}) | GOOD
"""States in which no answer is awaited, so that it does not matter until when one was of use."""

Gist = tuple[object, ...]
"""What is equal in two requests that ask for the same, and in no others."""


def earlier(agent: Agent, ask: Ask, invitation: Invitation | None) -> TransactionRecord | None:
    """The latest transaction that asked for exactly this and is still worth following; None if one is to be begun.

    That is one that goes on, unless it was begun without the invitation that is given now; and one that ended well
    with this very invitation, which its issuer would refuse a second time. Raises as `enrollment.plan`.
    """
    issuer, wanted, now = choose_issuer(agent, invitation, ask.issuer), _wanted(ask), agent.clock.now()
    for record in agent.ledger.list_transactions(Role.REQUESTER, OPEN | GOOD if invitation else OPEN, partner=issuer):
        asked = _asked(agent, record)
        with_it = invitation is None or (asked.invitation is not None and asked.invitation.id == invitation.id)
        in_time = record.state in ANSWERED or now <= record.expires_at
        if with_it and in_time and _recorded(record, asked) == wanted:
            return record
    return None


def _asked(agent: Agent, record: TransactionRecord) -> EnrollmentRequest:
    stored = agent.ledger.message(record.key, "enrollment.request")
    body = reread(stored.body).body if stored else None
    if not isinstance(body, EnrollmentRequest):
        raise TypeError(f"the ledger holds no request for transaction {record.key.id}")
    return body


def _wanted(ask: Ask) -> Gist:
    seconds = int(ask.lifetime.total_seconds()) if ask.lifetime else None
    if given := read_request(ask):
        return given.der, own_key_path(ask, given), seconds
    model = model_request(ask)
    return frozenset(model.names), model.subject, ask.key_kind, seconds


def _recorded(record: TransactionRecord, asked: EnrollmentRequest) -> Gist:
    if record.key_path is None or Path(record.key_path).is_absolute():  # a key of the operator's own
        return asked.csr, record.key_path, asked.lifetime_seconds
    made = parse_csr(asked.csr)
    return frozenset(made.names), made.subject, made.key.kind, asked.lifetime_seconds
