"""Which migration a ledger has reached, asked without Alembic."""

from __future__ import annotations

from sqlalchemy import inspect

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.schema import REVISION
from agents.errors import StateError


def recorded_revision(backend: Backend) -> str | None:
    """The migration that the ledger has reached; None if there are no tables."""
    with backend.translating(), backend.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return None if found is None else str(found)


def refuse_newer(backend: Backend, found: str | None) -> None:
    """Raise `StateError` for a ledger that a newer program wrote: guessing at its meaning could issue twice."""
    if found is not None and found > REVISION:
        fix = "Run the newer program again, or restore the backup made before the upgrade."
        raise StateError(
            f"The ledger at {backend.place} has schema {found}; this program knows up to {REVISION}. {fix}"
        )


def require_current(backend: Backend) -> None:
    """Raise `StateError` unless the ledger has exactly the tables that this program knows."""
    found = recorded_revision(backend)
    refuse_newer(backend, found)
    if found is None:
        fix = "`agent init` makes one; or restore a backup."
        raise StateError(f"There is no ledger in {backend.place}: it has no tables. {fix}")
    if found != REVISION:
        fix = "Make a backup, then upgrade it as the release notes of this version say."
        raise StateError(f"The ledger at {backend.place} has schema {found}; wanted {REVISION}. {fix}")
