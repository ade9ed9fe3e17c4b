"""An operator's word on held requests. It is recorded here and carried out by the daemon, which holds the CA's key."""

from __future__ import annotations

from typing import NamedTuple

from agents.bootstrap.agent import Agent
from agents.core.held import unit_for_decision
from agents.errors import ConfigurationError
from agents.ports import TransactionRecord
from agents.service.rotation import PAGE
from protocol.certificate import fingerprint
from protocol.envelope import unseal
from protocol.names import Fingerprint
from protocol.transaction import Role, State

REASON_MAX = 300
"""Longest reason, in characters: it must fit one field of a problem."""


ID_END_MIN = 8
"""Fewest characters of an id's end that name a request: fewer may fit another one by chance, none at all fits all."""


class ShownRoot(NamedTuple):
    """The root under which a request stands, and whether it is pinned for its sender as a requester already."""

    fingerprint: Fingerprint
    pinned: bool


def held(agent: Agent) -> tuple[TransactionRecord, ...]:
    """All requests that wait for a decision and have not expired, oldest first."""
    now = agent.clock.now()
    return tuple(record for record in _undecided(agent) if now <= record.expires_at)


def shown_root(agent: Agent, record: TransactionRecord) -> ShownRoot | None:
    """The root that a held request shows (the last certificate of its `x5c`, RFC 7515 section 4.1.6); None if the
    request is not on record. A root that is not pinned is pinned by approving: compare it with the requester first."""
    stored = agent.ledger.message(record.key, "enrollment.request")
    if stored is None:
        return None
    root = fingerprint(unseal(stored.body).chain[-1])
    partner = agent.ledger.partner(record.key.partner)
    return ShownRoot(root, partner is not None and root in partner.pinned_as(Role.REQUESTER))


def _undecided(agent: Agent) -> tuple[TransactionRecord, ...]:
    found: list[TransactionRecord] = []
    last: TransactionRecord | None = None
    while page := agent.ledger.next_transactions(Role.ISSUER, {State.PENDING}, PAGE, last, decided=False):
        found += page
        last = page[-1]
    return tuple(found)


def decide(agent: Agent, id: str, *, allow: bool, reason: str, partner: str = "") -> TransactionRecord:
    """Record the decision on the one request whose id is `id`, or ends in it; of `partner`, if that is given: two
    requesters may choose the same id. Raises `ConfigurationError`."""
    if len(id) < ID_END_MIN:
        raise ConfigurationError(
            f"'{id}' names no request: wanted its whole id, or at least the last {ID_END_MIN} characters of it. "
            "See `agent pending`."
        )
    if not allow and not 0 < len(reason) <= REASON_MAX:
        raise ConfigurationError(
            f"--reason has {len(reason)} characters; wanted 1 to {REASON_MAX}: the requester reads it."
        )
    record = _the_one(agent, id, partner)
    now = agent.clock.now()
    if record.expires_at < now:
        raise ConfigurationError(f"{record.key.id} expired at {record.expires_at}: its requester must ask once more.")
    (recorded,) = agent.ledger.commit([unit_for_decision(record.key, reason, now, allow=allow)])
    if not recorded:
        raise ConfigurationError(f"{record.key.id} was decided by somebody else meanwhile. See `agent status`.")
    return record


def _the_one(agent: Agent, id: str, partner: str) -> TransactionRecord:
    found = [record for record in _undecided(agent) if record.key.id.endswith(id)]
    if partner:
        found = [record for record in found if record.key.partner == partner]
    if not found:
        of = f" of {partner}" if partner else ""
        raise ConfigurationError(f"'{id}': no request{of} waits under an id that ends so. See `agent pending`.")
    if len(found) > 1:
        askers = ", ".join(sorted({record.key.partner for record in found}))
        raise ConfigurationError(
            f"'{id}': {len(found)} wait under an id that ends so, from {askers}. Give the whole id and --partner NAME."
        )
    return found[0]
