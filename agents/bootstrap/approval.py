"""An operator's word on held requests. It is recorded here and carried out by the daemon, which holds the CA's key."""

from __future__ import annotations

from agents.bootstrap.agent import Agent
from agents.core.effects import Audit, RecordApproval, Unit
from agents.errors import ConfigurationError
from agents.ports import TransactionRecord
from agents.service.rotation import PAGE
from protocol.transaction import Role, State

REASON_MAX = 300
"""Longest reason, in characters: it must fit one field of a problem."""


ID_END_MIN = 8
"""Fewest characters of an id's end that name a request: fewer may fit another one by chance, none at all fits all."""


def held(agent: Agent) -> tuple[TransactionRecord, ...]:
    """All requests that wait for a decision, oldest first."""
    found: list[TransactionRecord] = []
    last: TransactionRecord | None = None
    while page := agent.ledger.next_transactions(Role.ISSUER, {State.PENDING}, PAGE, last, decided=False):
        found += page
        last = page[-1]
    return tuple(found)


def decide(agent: Agent, id: str, *, allow: bool, reason: str) -> TransactionRecord:
    """Record the decision on the one request whose id is `id`, or ends in it. Raises `ConfigurationError`."""
    if len(id) < ID_END_MIN:
        raise ConfigurationError(
            f"'{id}' names no request: wanted its whole id, or at least the last {ID_END_MIN} characters of it. "
            "See `agent pending`."
        )
    if not allow and not 0 < len(reason) <= REASON_MAX:
        raise ConfigurationError(
            f"--reason has {len(reason)} characters; wanted 1 to {REASON_MAX}: the requester reads it."
        )
    found = [record for record in held(agent) if record.key.id.endswith(id)]
    if len(found) != 1:
        many = "none waits" if not found else f"{len(found)} wait"
        raise ConfigurationError(f"'{id}': {many} under an id that ends so. See `agent pending`.")
    (record,) = found
    now = agent.clock.now()
    audit = Audit(now, "approved" if allow else "denied", record.key.partner, record.key.id, reason)
    (recorded,) = agent.ledger.commit([Unit((RecordApproval(record.key, allow, reason, now), audit))])
    if not recorded:
        raise ConfigurationError(f"{record.key.id} was decided by somebody else meanwhile. See `agent status`.")
    return record
