"""What is true at the end of a simulation, as plain values: read from ledgers and queues, judged by `verdict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from protocol.names import OrganisationName
from protocol.transaction import Role, State


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction as one organisation's ledger has it. Times are the organisation's own clock's."""

    organisation: str
    role: Role
    partner: str
    id: str
    state: State
    names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    serial: str | None
    problems: tuple[str, ...]
    """`code: field` of each."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate as one organisation's ledger has it. `digest` and `public_key` are SHA-256."""

    organisation: str
    issuer: str
    holder: str
    serial: str
    transaction: str
    digest: str
    public_key: str
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the verdict depends on."""

    transactions: tuple[Transaction, ...]
    certificates: tuple[Certificate, ...]
    sealed: Mapping[int, str]
    """Number of a poisonous request -> SHA-256 of what was published for it."""
    dead: Mapping[str, tuple[str, ...]]
    """Dead-letter queue -> SHA-256 of each message in it."""
    waiting: Mapping[str, int]
    """Queue -> messages in it, delivered or not; dead-letter queues and empty ones are left out."""
    unsent: Mapping[OrganisationName, int]
    """Organisation -> messages in its outbox that no broker has confirmed; none are left out."""
    installed: Mapping[tuple[OrganisationName, OrganisationName], str]
    """Requester and issuer -> SHA-256 of the certificate that is in use on disk."""
    faults_in_program: tuple[str, ...]
    """What an agent logged as a fault of its own."""
