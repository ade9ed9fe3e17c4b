"""Brings a ledger's tables up to date with Alembic: all migrations in one transaction, in turn with commits."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.revision import recorded_revision, refuse_newer
from agents.adapters.ledger.schema import REVISION


def upgrade(backend: Backend) -> None:
    """Run the migrations that are missing. Several processes may do so at once: one works, the others find it done."""
    found = recorded_revision(backend)
    refuse_newer(backend, found)
    if found == REVISION:
        return
    config = migrations()
    with backend.translating(), backend.engine.connect() as connection:
        connection.exec_driver_sql(backend.take_turn)
        config.attributes["connection"] = connection
        command.upgrade(config, REVISION)
        connection.commit()


def migrations() -> Config:
    """Alembic's configuration: where the migrations lie."""
    config = Config()
    here = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", here.replace("%", "%%"))  # the option is a ConfigParser's
    return config
