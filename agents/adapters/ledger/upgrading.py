"""Brings a ledger's tables up to date with Alembic: all migrations in one transaction, in turn with commits."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.revision import Upgraded, recorded_revision, refuse_newer
from agents.adapters.ledger.schema import REVISION, metadata
from agents.errors import StateError

_ONE_AT_A_TIME = Lock()
"""Alembic keeps the migration at work in globals of its modules: threads would run it on each other's connections."""


def upgrade(backend: Backend) -> Upgraded:
    """Run the migrations that are missing. Several processes or threads may do so at once: one works, the others find
    it done. Raises `StateError` for tables that are a newer program's or nobody's that we know; they stay as they are.
    """
    with backend.translating(), backend.engine.connect() as connection:
        connection.exec_driver_sql(backend.take_turn)
        found = recorded_revision(connection)
        refuse_newer(backend.place, found)
        if found is None:
            _require_free(backend.place, connection)
        if found != REVISION:
            _migrate(backend.place, connection, found)
        connection.commit()
    return Upgraded(backend.place, found, REVISION)


def _require_free(place: str, connection: Connection) -> None:
    taken = sorted(metadata.tables.keys() & set(inspect(connection).get_table_names()))
    if taken:
        told = f"{place} is no ledger, but has tables that a ledger would have: {', '.join(taken)}"
        raise StateError(f"{told}. Name an empty database, or restore the ledger from a backup.")


def _migrate(place: str, connection: Connection, found: str | None) -> None:
    config = migrations()
    config.attributes["connection"] = connection
    try:
        with _ONE_AT_A_TIME:
            command.upgrade(config, REVISION)
    except CommandError as error:
        fix = "Name the right database, or restore the ledger from a backup."
        raise StateError(f"{place} has schema {found}, which no version of this program made. {fix}") from error


def migrations() -> Config:
    """Alembic's configuration: where the migrations lie."""
    config = Config()
    here = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", here.replace("%", "%%"))  # the option is a ConfigParser's
    return config
