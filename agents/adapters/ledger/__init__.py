"""The durable record of decisions, certificates and messages, in SQLite or PostgreSQL."""

from agents.adapters.ledger.opening import open_ledger, upgrade_ledger
from agents.adapters.ledger.revision import Upgraded

__all__ = ["Upgraded", "open_ledger", "upgrade_ledger"]
