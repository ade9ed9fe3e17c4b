"""The ledger in a PostgreSQL database that several processes and machines share. The database must exist.

Needs psycopg 3, which comes with the extra `postgresql`.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import URL, create_engine, event
from sqlalchemy.dialects.postgresql import insert

from agents.adapters.ledger.backend import LOCK_SECONDS, Backend, first_line
from agents.adapters.ledger.statements import Insert
from agents.errors import ConfigurationError, LedgerUnavailableError, StateError

_TAKE_TURN = "SELECT pg_advisory_xact_lock(7021234360735591532)"
"""Commits take this advisory lock in turn; its key is "apostill" in ASCII. The driver begins the transaction."""

_SETTINGS = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'",
    "SET statement_timeout = '60s'",
    # A process that is stopped in the middle of a commit must not stop all others for good.
    f"SET idle_in_transaction_session_timeout = '{LOCK_SECONDS}s'",
)

_UNAVAILABLE = (
    "08",  # connection exceptions
    "25006",  # read-only transaction
    "28",  # authorisation
    "3D000",  # no such database
    "40",  # deadlock and other rollbacks
    "42501",  # insufficient privilege
    "53",  # disk full, out of memory, too many connections
    "55",  # lock not available
    "57",  # operator intervention, timeouts
    "58",  # system errors
    "25P03",  # idle in transaction for too long
)
_DAMAGED = ("XX",)
_INCOMPLETE = ("42P01", "42703", "3F000")


def postgresql_backend(url: URL) -> Backend:
    """The ledger in the database of `url`. Raises `ConfigurationError` if psycopg is not installed."""
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            paramstyle="format",
            pool_pre_ping=True,
            connect_args={"connect_timeout": LOCK_SECONDS},
        )
    except ModuleNotFoundError as error:
        fix = "Install apostille[postgresql], or use a ledger file."
        raise ConfigurationError(f"A ledger in PostgreSQL needs psycopg, which is not installed. {fix}") from error
    event.listen(engine, "connect", _prepare)
    place = url.render_as_string(hide_password=True)
    return Backend(place, engine, _TAKE_TURN, cast("Insert", insert), _explain)


def _prepare(connection: Any, _: Any) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)
    connection.commit()


def _explain(place: str, error: BaseException) -> StateError | None:
    state = getattr(error, "sqlstate", None)
    said = f"(PostgreSQL: {first_line(error)})"
    if state is None or state.startswith(_UNAVAILABLE):
        fix = "Check that the server runs, lets this agent in and has room; then try again."
        return LedgerUnavailableError(f"The ledger at {place} cannot be used now. {fix} {said}")
    if state.startswith(_DAMAGED):
        return StateError(f"The ledger at {place} is damaged. Restore the database from a backup. {said}")
    if state in _INCOMPLETE:
        return StateError(f"The database at {place} holds no whole ledger. Restore it, or name the right one. {said}")
    return None
