"""Ledgers as earlier versions of the program left them."""

from __future__ import annotations

from typing import Any

from alembic import command
from sqlalchemy import text

from agents.adapters.ledger.opening import _backend
from agents.adapters.ledger.upgrading import migrations


def make_old_ledger(url: str, revision: str, *statements: tuple[str, dict[str, Any]]) -> None:
    """Make a ledger at a migration, in an empty database, and write rows into it."""
    backend = _backend(url, create=True)
    config = migrations()
    with backend.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement, row in statements:
            connection.execute(text(statement), row)
        connection.commit()
    backend.engine.dispose()
