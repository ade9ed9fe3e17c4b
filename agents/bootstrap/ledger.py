"""Makes or upgrades the ledger of an agent that is at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.adapters.ledger import Upgraded, upgrade_ledger

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent

__all__ = ["Upgraded", "upgrade"]


def upgrade(agent: Agent) -> Upgraded:
    """Bring the agent's ledger to the schema of this program; one without tables gets them.

    No daemon runs meanwhile: its statements are for the tables that it found when it began. Raises `HomeBusyError` if
    one runs, `StateError` or `ConfigurationError` for a ledger that cannot be upgraded, and which then stays as it is.
    """
    agent.lock.acquire()
    try:
        return upgrade_ledger(agent.ledger_url)
    finally:
        agent.lock.release()
