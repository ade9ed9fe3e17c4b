"""Which migration a ledger has reached, asked without Alembic."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, inspect

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.schema import REVISION
from agents.errors import StateError


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A ledger at the schema of this program. `place` names it for people, without a password."""

    place: str
    before: str | None
    """The migration that it had reached; None if it had no tables."""
    after: str


def recorded_revision(connection: Connection) -> str | None:
    """The migration that the ledger has reached; None if there are no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def refuse_newer(place: str, found: str | None) -> None:
    """Raise `StateError` for a ledger that a newer program wrote: guessing at its meaning could issue twice."""
    if found is not None and found > REVISION:
        fix = "Run the newer program again, or restore the backup made before the upgrade."
        raise StateError(f"The ledger at {place} has schema {found}; this program knows up to {REVISION}. {fix}")


def require_current(backend: Backend) -> None:
    """Raise `StateError` unless the ledger has exactly the tables that this program knows."""
    with backend.translating(), backend.engine.connect() as connection:
        found = recorded_revision(connection)
    refuse_newer(backend.place, found)
    if found is None:
        fix = "If that is the right place, `agent ledger upgrade` makes one; or restore a backup."
        raise StateError(f"There is no ledger in {backend.place}: it has no tables. {fix}")
    if found != REVISION:
        fix = "Stop the agent, make a backup, then run `agent ledger upgrade`."
        raise StateError(f"The ledger at {backend.place} has schema {found}; wanted {REVISION}. {fix}")
