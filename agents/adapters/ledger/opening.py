"""Opens a ledger: finds the database, and accepts it only with exactly the tables that this program knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.ledger import SqlLedger
from agents.adapters.ledger.revision import Upgraded, require_current
from agents.adapters.ledger.sqlite import sqlite_backend
from agents.errors import ConfigurationError

_WANTED = "a path, sqlite:///PATH, or postgresql+psycopg://USER@HOST/DATABASE"


def open_ledger(url: str, create: bool = False) -> SqlLedger:  # noqa: FBT001, FBT002 -- read as open_ledger(url, create=True)
    """The ledger at `url`: a path, `sqlite:///PATH`, or `postgresql+psycopg://...` (the database must exist).

    With `create`, makes the file and the tables where they are missing and upgrades older tables. Raises
    `ConfigurationError` (the URL), `StateError` (no ledger there, damaged, of another program version, or readable by
    others) or `LedgerUnavailableError` (locked, disk full, read-only, not reachable). The caller closes the ledger.
    """
    if create:
        upgrade_ledger(url)
    backend = _backend(url, create=False)
    try:
        require_current(backend)
    except BaseException:
        backend.engine.dispose()
        raise
    return SqlLedger(backend)


def upgrade_ledger(url: str) -> Upgraded:
    """Bring the ledger at `url` to this program's tables, in one transaction; an empty or missing one is made.

    A ledger that is current is left as it is. Raises as `open_ledger`. Returns what was found, and what is there now.
    """
    # Alembic costs a tenth of a second to import, and upgrades are rare.
    from agents.adapters.ledger.upgrading import upgrade  # noqa: PLC0415

    backend = _backend(url, create=True)
    try:
        return upgrade(backend)
    finally:
        backend.engine.dispose()


def _backend(url: str, *, create: bool) -> Backend:
    if "://" not in url:
        return sqlite_backend(Path(url), create=create)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"The ledger's URL cannot be read. Write {_WANTED}.") from None
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return sqlite_backend(Path(str(parsed.database)), create=create)
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        from agents.adapters.ledger.postgresql import postgresql_backend  # noqa: PLC0415 -- most agents use a file

        return postgresql_backend(parsed)
    raise ConfigurationError(f"The ledger's URL begins with '{parsed.drivername}:'. Write {_WANTED}.")
