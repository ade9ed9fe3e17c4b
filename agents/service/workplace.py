"""What every service of one agent works with."""

from __future__ import annotations

from dataclasses import dataclass

from agents.ports import Clock, Ledger, Log
from protocol.names import OrganisationName


@dataclass(frozen=True, slots=True)
class Workplace:
    """Who we are, what is on record, what time it is, and where to say what happens.

    Nothing else belongs here: a key, a bus or a store is handed to the services that need it and to no others.
    """

    us: OrganisationName
    ledger: Ledger
    clock: Clock
    log: Log
