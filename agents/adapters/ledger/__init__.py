"""The durable record of decisions, certificates and messages, in SQLite or PostgreSQL."""

from agents.adapters.ledger.opening import open_ledger, upgrade_ledger

__all__ = ["open_ledger", "upgrade_ledger"]
